-- How much was delivered in the last minute. By webhook, as the index has it: the attempts of a minute are quickly found
-- only after vacuum.
select coalesce(sum(latest.quantity), 0)::bigint as quantity
from lshookd.webhook_states() as webhook
cross join lateral (
    select count(*) as quantity
    from lshookd.delivery
    where delivery.webhook_id = webhook.id
      and delivery.state = 'delivered'
      and delivery.ended_at > statement_timestamp() - interval '1 minute'
) as latest;

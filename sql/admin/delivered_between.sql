-- How much was delivered to each of some webhooks ($1) from a moment ($2) until another ($3).
select webhook.id as webhook_id,
       counted.quantity
from unnest($1::bigint[]) as webhook (id)
cross join lateral (
    select count(*) as quantity
    from lshookd.delivery
    where delivery.webhook_id = webhook.id
      and delivery.state = 'delivered'
      and delivery.ended_at >= $2::timestamptz
      and delivery.ended_at < $3::timestamptz
) as counted
where counted.quantity > 0;

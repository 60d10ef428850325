-- How much was delivered in the last minute. By webhook, as the index has it: the attempts of a minute are quickly found
-- only after vacuum.
select count(*) as quantity
from lshookd.delivery
where delivery.webhook_id = any (array(select webhook.id from lshookd.webhook_states() as webhook))
  and delivery.state = 'delivered'
  and delivery.ended_at > statement_timestamp() - interval '1 minute';

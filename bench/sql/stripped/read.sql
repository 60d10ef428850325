-- What waits for a webhook ($1) behind a delivery ($2).
select delivery.id, delivery.message_id::text as message_id, delivery.webhook_id, event.body
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
where delivery.webhook_id = $1::bigint
  and delivery.project_id = 1
  and delivery.state = 'pending'
  and delivery.id > $2::bigint
order by delivery.id
limit 100;

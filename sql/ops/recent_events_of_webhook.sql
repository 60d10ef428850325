-- The newest events that a webhook ($1) was owed, of some actions ($2) or of all, with their bodies.
select event.action,
       event.body
from lshookd.event
where event.body is not null
  and (cardinality($2::text[]) = 0 or event.action = any ($2::text[]))
  and exists (
      select from lshookd.delivery where delivery.event_id = event.id and delivery.webhook_id = $1::bigint
  )
order by event.id desc
limit $3::bigint;

-- The deliveries in some states ($10), after one of them: by their numbers, or by webhook, action, project, state and
-- time. With $11 without those of deleted webhooks, which would only be cancelled.
select delivery.id
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
where delivery.state = any ($10::text[])
  and delivery.id > $1
  and ($2::bigint[] is null or delivery.id = any ($2))
  and ($3::bigint is null or delivery.webhook_id = $3)
  and ($4::text is null or event.action = $4)
  and ($5::bigint is null or delivery.project_id = $5)
  and ($6::text is null or delivery.state = $6)
  and ($7::timestamptz is null or event.occurred_at >= $7)
  and ($8::timestamptz is null or event.occurred_at < $8)
  and (not $11::boolean or delivery.webhook_id in (select * from lshookd.webhook_ids(null)))
order by delivery.id
limit $9;

-- Deliveries by webhook, action, project, state and the time their event occurred, the newest first.
select row_to_json(listed) as row
from (
    select delivery.id,
           delivery.message_id,
           delivery.webhook_id,
           delivery.project_id,
           event.action,
           event.object_count as objects,
           event.occurred_at,
           delivery.state,
           delivery.attempts,
           delivery.ended_at,
           attempt.status as last_status,
           attempt.error as last_error
    from lshookd.delivery
    join lshookd.event on event.id = delivery.event_id
    left join lshookd.attempt on attempt.delivery_id = delivery.id and attempt.number = delivery.attempts
    where ($1::bigint is null or delivery.webhook_id = $1)
      and ($2::text is null or event.action = $2)
      and ($3::bigint is null or delivery.project_id = $3)
      and ($4::text is null or delivery.state = $4)
      and ($5::timestamptz is null or event.occurred_at >= $5)
      and ($6::timestamptz is null or event.occurred_at < $6)
      and ($7::bigint is null or delivery.id < $7)
    order by delivery.id desc
    limit $8
) as listed;

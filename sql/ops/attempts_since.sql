-- Attempts that were recorded lately: those that began after $1, and long ones that ended after it; in the order of their
-- time.
select row_to_json(listed) as row
from (
    select attempt.delivery_id,
           attempt.number,
           attempt.started_at,
           attempt.duration_ms,
           attempt.status,
           attempt.error,
           delivery.webhook_id,
           delivery.project_id,
           delivery.state,
           event.action
    from lshookd.attempt
    join lshookd.delivery on delivery.id = attempt.delivery_id
    join lshookd.event on event.id = delivery.event_id
    where (
            attempt.started_at > $1
            or (
                attempt.duration_ms > 100000
                and attempt.started_at + attempt.duration_ms * interval '1 millisecond' > $1
            )
        )
      and ($2::bigint is null or delivery.webhook_id = $2)
    order by attempt.started_at
    limit 10000
) as listed;

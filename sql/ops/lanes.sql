-- The lanes of a webhook ($1) in which something is pending, those that fail first: at most so many ($2).
select row_to_json(listed) as row
from (
    select lane.project_id,
           lane.due_at,
           lane.held_until,
           first.id as delivery_id,
           first.attempts,
           first.attempts > first.schedule_from as is_failing,
           event.action,
           event.occurred_at,
           attempt.status as last_status,
           attempt.error as last_error
    from lshookd.lane
    cross join lateral (
        select *
        from lshookd.delivery
        where delivery.webhook_id = lane.webhook_id
          and delivery.project_id = lane.project_id
          and delivery.state = 'pending'
        order by delivery.id
        limit 1
    ) as first
    join lshookd.event on event.id = first.event_id
    left join lshookd.attempt on attempt.delivery_id = first.id and attempt.number = first.attempts
    where lane.webhook_id = $1::bigint
      and lane.due_at < 'infinity'
    order by is_failing desc, lane.due_at, lane.project_id
    limit $2::bigint
) as listed;

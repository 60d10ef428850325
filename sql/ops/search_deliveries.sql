-- One step of a search among deliveries by their numbers: before one ($1), or after one ($2), or from the newest on.
-- At most so many are read ($3); of these are given those of an action ($4), a project ($5), a state ($6), that occurred
-- since ($7) and before ($8) some moments, and whose body holds a text ($9). Each row says how far the step came.
with step as materialized (
    (
        select *
        from lshookd.delivery
        where $2::bigint is null
          and delivery.id < coalesce($1::bigint, 9223372036854775807)
          and ($6::text is null or delivery.state = $6)
        order by delivery.id desc
        limit $3::bigint
    )
    union all
    (
        select *
        from lshookd.delivery
        where delivery.id > $2
          and ($6 is null or delivery.state = $6)
        order by delivery.id
        limit $3
    )
),
extent as (
    select count(*) as read,
           case when $2 is null then min(id) else max(id) end as reached
    from step
)
select extent.read,
       extent.reached,
       row_to_json(listed) as row
from extent
left join lateral (
    select step.id,
           step.message_id,
           step.webhook_id,
           step.project_id,
           event.action,
           event.object_count as objects,
           event.occurred_at,
           step.state,
           step.attempts,
           step.ended_at,
           attempt.status as last_status,
           attempt.error as last_error
    from step
    join lshookd.event on event.id = step.event_id
    left join lshookd.attempt on attempt.delivery_id = step.id and attempt.number = step.attempts
    where ($5::bigint is null or step.project_id = $5)
      and ($4::text is null or event.action = $4)
      and ($7::timestamptz is null or event.occurred_at >= $7)
      and ($8::timestamptz is null or event.occurred_at < $8)
      and ($9::text is null or position($9 in event.body) > 0)
) as listed on true
order by listed.id desc;

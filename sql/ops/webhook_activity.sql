-- A step of a webhook's deliveries ($1) in the order of what happened to them last: what is pending, in the order of its
-- numbers, and then what ended, the latest first, from a moment on ($2). Each state has its index, of which at most so
-- many ($3) are read. Given are those of a state ($4), an action ($5), a project ($6), that occurred since ($7) and
-- before ($8) some moments, and whose body holds a text ($9).
with step as materialized (
    select *
    from (
        (
            select *
            from lshookd.delivery
            where $2::timestamptz is null
              and delivery.webhook_id = $1::bigint
              and delivery.state = 'pending'
              and ($4::text is null or $4 = 'pending')
            order by delivery.project_id, delivery.id
            limit $3::bigint
        )
        union all
        (
            select *
            from lshookd.delivery
            where delivery.webhook_id = $1
              and delivery.state = 'delivered'
              and delivery.ended_at < coalesce($2, 'infinity')
              and ($4 is null or $4 = 'delivered')
            order by delivery.ended_at desc
            limit $3
        )
        union all
        (
            -- Dead ones have no index by time, and are few.
            select *
            from (
                select *
                from lshookd.delivery
                where delivery.webhook_id = $1
                  and delivery.state = 'dead'
                  and ($4 is null or $4 = 'dead')
                order by delivery.id desc
                limit 2000
            ) as dead
            where dead.ended_at < coalesce($2, 'infinity')
            order by dead.ended_at desc
            limit $3
        )
        union all
        (
            select *
            from (
                select *
                from lshookd.delivery
                where delivery.state in ('cancelled', 'skipped')
                  and delivery.ended_at < coalesce($2, 'infinity')
                  and ($4 is null or $4 in ('cancelled', 'skipped'))
                order by delivery.ended_at desc
                limit 5000
            ) as discarded
            where discarded.webhook_id = $1
              and ($4 is null or discarded.state = $4)
            order by discarded.ended_at desc
            limit $3
        )
    ) as found
    order by found.ended_at desc nulls first, found.id
    limit $3
),
extent as (
    select count(*) as read, min(ended_at) as reached
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
    where ($6::bigint is null or step.project_id = $6)
      and ($5::text is null or event.action = $5)
      and ($7::timestamptz is null or event.occurred_at >= $7)
      and ($8::timestamptz is null or event.occurred_at < $8)
      and ($9::text is null or position($9 in event.body) > 0)
) as listed on true
order by listed.ended_at desc nulls first, listed.id;

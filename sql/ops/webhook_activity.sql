-- A step of a webhook's deliveries ($1) in the order of what happened to them last: what is pending, by
-- project and number and after one of them ($11, $12), and then what ended, the latest first, from a moment on ($2) and of that moment from a number on ($10). Each
-- state has its index, of which at most so many ($3) are read. Given are those of a state ($4), an action ($5), a project ($6), that occurred since ($7) and
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
              and ($11::bigint is null or (delivery.project_id, delivery.id) > ($11, $12::bigint))
            order by delivery.project_id, delivery.id
            limit $3::bigint
        )
        union all
        (
            select *
            from lshookd.delivery
            where delivery.webhook_id = $1
              and delivery.state = 'delivered'
              and delivery.ended_at <= coalesce($2, 'infinity')
              and ($2 is null or delivery.ended_at < $2 or delivery.id < $10::bigint)
              and ($4 is null or $4 = 'delivered')
            order by delivery.ended_at desc, delivery.id desc
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
            where $2 is null
               or dead.ended_at < $2
               or (dead.ended_at = $2 and dead.id < $10)
            order by dead.ended_at desc, dead.id desc
            limit $3
        )
        union all
        (
            select *
            from (
                select *
                from lshookd.delivery
                where delivery.state in ('cancelled', 'skipped')
                  and delivery.ended_at <= coalesce($2, 'infinity')
                  and ($2 is null or delivery.ended_at < $2 or delivery.id < $10)
                  and ($4 is null or $4 in ('cancelled', 'skipped'))
                order by delivery.ended_at desc, delivery.id desc
                limit 5000
            ) as discarded
            where discarded.webhook_id = $1
              and ($4 is null or discarded.state = $4)
            order by discarded.ended_at desc, discarded.id desc
            limit $3
        )
    ) as found
    order by found.ended_at desc nulls first,
             case when found.ended_at is null then found.project_id end,
             case when found.ended_at is null then found.id end,
             found.id desc
    limit $3
),
extent as (
    select count(*) as read,
           min(ended_at) as reached,
           (array_agg(id order by ended_at, id) filter (where ended_at is not null))[1] as reached_id,
           max(project_id) filter (where ended_at is null) as reached_project,
           (array_agg(id order by project_id desc, id desc) filter (where ended_at is null))[1] as reached_pending
    from step
)
select extent.read,
       extent.reached,
       extent.reached_id,
       extent.reached_project,
       extent.reached_pending,
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
order by listed.ended_at desc nulls first,
         case when listed.ended_at is null then listed.project_id end,
         case when listed.ended_at is null then listed.id end,
         listed.id desc;

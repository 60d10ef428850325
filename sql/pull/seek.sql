-- Sets where a webhook ($1) is read on: at the event with the id $2, else at the time $3, else at the beginning; $4
-- instead at the end. What comes from there on is given again, also what was dead or skipped; what comes before is
-- not given any more. As far as events are kept.
with target as (
    select id
    from lshookd.delivery
    where webhook_id = $1::bigint
      and message_id = $2::uuid
),
placed as (
    select delivery.id,
           delivery.state,
           case
               when $4::boolean then false
               when $2 is not null then delivery.id >= (select id from target)
               when $3::timestamptz is not null then event.occurred_at >= $3
               else true
           end as is_after
    from lshookd.delivery
    join lshookd.event on event.id = delivery.event_id
    where delivery.webhook_id = $1
      and ($2 is null or exists (select from target))
),
chosen as (
    select coalesce(array_agg(id) filter (where is_after and state <> 'pending'), '{}') as again,
           coalesce(array_agg(id) filter (where not is_after and state = 'pending'), '{}') as passed
    from placed
)
select $2 is not null and not exists (select from target) as is_unknown,
       lshookd.replay(chosen.again) as again,
       lshookd.skip(chosen.passed) as passed
from chosen;

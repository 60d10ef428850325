-- Ends the leases of a webhook ($1) that are over without an acknowledgement. Of each lane the first event that was not
-- acknowledged is the one that failed, which is dead after $2 attempts; those behind it were perhaps not begun.
with overdue as (
    update lshookd.lease
    set is_held = false,
        one_by_one = exists (
            select from lshookd.delivery
            where delivery.webhook_id = lease.webhook_id
              and delivery.project_id = lease.project_id
              and delivery.state = 'pending'
              and delivery.id between lease.first_id and lease.last_id
        )
    where webhook_id = $1::bigint
      and is_held
      and leased_until <= statement_timestamp()
    returning project_id, first_id, last_id, leased_at, consumer
),
failed as (
    select head.id, overdue.leased_at, overdue.consumer
    from overdue
    cross join lateral (
        select delivery.id
        from lshookd.delivery
        where delivery.webhook_id = $1
          and delivery.project_id = overdue.project_id
          and delivery.state = 'pending'
          and delivery.id between overdue.first_id and overdue.last_id
        order by delivery.id
        limit 1
    ) as head
),
counted as (
    update lshookd.delivery
    set attempts = attempts + 1,
        state = case when attempts + 1 - schedule_from >= $2::integer then 'dead' else 'pending' end,
        ended_at = case when attempts + 1 - schedule_from >= $2 then clock_timestamp() end
    where id = any (array(select id from failed))
      and state = 'pending'
    returning id, attempts, state
),
noted as (
    insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, error, address, protocol)
    select counted.id,
           counted.attempts,
           failed.leased_at,
           least(extract(epoch from clock_timestamp() - failed.leased_at) * 1000, 2147483647)::integer,
           'the lease ended and the consumer had not acknowledged it',
           failed.consumer,
           'pull'
    from counted
    join failed on failed.id = counted.id
    on conflict (delivery_id, number) do nothing
)
select count(*) as failed,
       count(*) filter (where state = 'dead') as dead
from counted;

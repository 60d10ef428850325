-- Gives back events that a consumer of a webhook ($1) has been given and could not handle: those with the ids $2, for
-- the reason $3, at the address $4. Each counts as a failed attempt and is dead after $5. Their lanes are given again
-- after $6 seconds, from the oldest event on that was not acknowledged.
with given as materialized (
    select delivery.id,
           lease.project_id,
           lease.leased_at
    from lshookd.lease
    join lshookd.delivery on delivery.webhook_id = lease.webhook_id
        and delivery.project_id = lease.project_id
        and delivery.state = 'pending'
        and delivery.id between lease.first_id and lease.last_id
    where lease.webhook_id = $1::bigint
      and lease.last_id is not null
      and delivery.message_id = any ($2::uuid[])
),
counted as (
    update lshookd.delivery
    set attempts = attempts + 1,
        state = case when attempts + 1 - schedule_from >= $5::integer then 'dead' else 'pending' end,
        ended_at = case when attempts + 1 - schedule_from >= $5 then clock_timestamp() end
    where id = any (array(select id from given))
      and state = 'pending'
    returning id, attempts, state
),
noted as (
    insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, error, address, protocol)
    select counted.id,
           counted.attempts,
           given.leased_at,
           least(extract(epoch from clock_timestamp() - given.leased_at) * 1000, 2147483647)::integer,
           'the consumer refused it: ' || $3::text,
           $4::inet,
           'pull'
    from counted
    join given on given.id = counted.id
    on conflict (delivery_id, number) do nothing
),
ended as (
    update lshookd.lease
    set is_held = false,
        leased_until = clock_timestamp() + $6::float8 * interval '1 second',
        one_by_one = false
    where webhook_id = $1
      and project_id in (select project_id from given)
)
select count(*) as refused,
       count(*) filter (where state = 'dead') as dead
from counted;

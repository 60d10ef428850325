-- Takes events for delivered that a consumer of a webhook ($1) has been given: those with the ids $2 and, where $3 is
-- one's id, that and all before it which the same lease gave; at the address $4. Also when their lease has ended
-- meanwhile.
with given as materialized (
    select id, message_id, project_id, lease_id, leased_at
    from lshookd.given_delivery
    where webhook_id = $1::bigint
),
last as materialized (
    select *
    from given
    where message_id = $3::uuid
),
named as (
    select given.id
    from given
    left join last on given.id <= last.id and given.lease_id = last.lease_id
    where last.id is not null
       or given.message_id in (select unnest($2::uuid[]))
),
settled as (
    update lshookd.delivery
    set state = 'delivered',
        attempts = attempts + 1,
        ended_at = clock_timestamp()
    -- By their key: a join might read the table from its beginning, and what is pending by its index (which serves for the
    -- written word alone) be compared with all of them.
    where id = any (array(select id from named))
      and state = (select 'pending')
    returning id, project_id, attempts
),
-- What is pending can only become less: where all that was seen of it is settled here, nothing is left. Where several
-- acknowledge parts of a lane at the same time, each may leave it to give_back.sql.
--
-- Counted before they are joined: of thousands on both sides a join might compare each with each.
by_lane as (
    select seen.project_id,
           seen.lease_id,
           seen.leased_at,
           coalesce(done.quantity, 0) as settled,
           seen.quantity as given
    from (
        select project_id, lease_id, leased_at, count(*) as quantity from given group by project_id, lease_id, leased_at
    ) as seen
    left join (
        select project_id, count(*) as quantity from settled group by project_id
    ) as done on done.project_id = seen.project_id
),
given_back as (
    update lshookd.lease
    set is_held = false,
        last_id = null,
        leased_until = clock_timestamp(),
        one_by_one = false
    from by_lane
    where lease.webhook_id = $1
      and lease.project_id = by_lane.project_id
      and lease.lease_id = by_lane.lease_id
      and by_lane.settled = by_lane.given
),
noted as (
    insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, address, protocol)
    select settled.id,
           settled.attempts,
           by_lane.leased_at,
           least(extract(epoch from clock_timestamp() - by_lane.leased_at) * 1000, 2147483647)::integer,
           $4::inet,
           'pull'
    from settled
    join by_lane on by_lane.project_id = settled.project_id
    on conflict (delivery_id, number) do nothing
)
select coalesce(sum(settled), 0)::bigint as acknowledged,
       count(*) filter (where settled > 0 and settled < given) as partly
from by_lane;

-- Takes events for delivered that a consumer of a webhook ($1) has been given: those with the ids $2 and, where $3 is
-- one's id, that and all before it which the same lease gave; at the address $4. Also when their lease has ended
-- meanwhile.
with given as materialized (
    select delivery.id,
           delivery.message_id,
           lease.project_id,
           lease.lease_id,
           lease.leased_at
    from lshookd.lease
    join lshookd.delivery on delivery.webhook_id = lease.webhook_id
        and delivery.project_id = lease.project_id
        and delivery.state = 'pending'
        and delivery.id <= lease.last_id
    where lease.webhook_id = $1::bigint
      and lease.last_id is not null
),
last as (
    select *
    from given
    where message_id = $3::uuid
),
settled as (
    update lshookd.delivery
    set state = 'delivered',
        attempts = attempts + 1,
        ended_at = clock_timestamp()
    from given
    left join last on given.id <= last.id and (given.lease_id = last.lease_id)
    where delivery.id = given.id
      and delivery.state = 'pending'
      and (last.id is not null or given.message_id = any ($2::uuid[]))
    returning delivery.id, delivery.attempts, given.leased_at
),
noted as (
    insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, address, protocol)
    select id,
           attempts,
           leased_at,
           least(extract(epoch from clock_timestamp() - leased_at) * 1000, 2147483647)::integer,
           $4::inet,
           'pull'
    from settled
    on conflict (delivery_id, number) do nothing
)
select count(*) as acknowledged from settled;

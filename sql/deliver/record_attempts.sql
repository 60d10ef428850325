-- Records a batch of attempts: the attempts themselves, the new state of each delivery, and
-- for those to be retried when their lane is due, for whichever daemon. Lanes are locked in their fixed order,
-- the one in which the planner wakes them.
with outcome as (
    -- Pending, by a name: written out, PostgreSQL would take the index of all that is pending for a short one, and read
    -- all of it with what was delivered since the oldest transaction of the cluster began.
    select *, 'pending'::text as state_before
    from unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::integer[], $5::smallint[], $6::text[], $7::text[],
                $8::text[], $9::float8[], $10::inet[], $11::text[], $12::integer[], $13::integer[], $14::integer[],
                $15::integer[])
        as given (delivery_id, number, started_at, duration_ms, status, error, response_head, state, pause, address,
                  protocol, dns_ms, tcp_ms, tls_ms, answer_ms)
),
recorded as (
    insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, status, error, response_head, address,
                                 protocol, dns_ms, tcp_ms, tls_ms, answer_ms)
    select delivery_id, number, started_at, duration_ms, status, error, response_head, address, protocol, dns_ms, tcp_ms,
           tls_ms, answer_ms
    from outcome
    -- Of a delivery that is kept.
    where delivery_id = (select delivery.id from lshookd.delivery where delivery.id = outcome.delivery_id)
    on conflict (delivery_id, number) do nothing
),
settled as (
    update lshookd.delivery
    set state = outcome.state,
        attempts = outcome.number,
        ended_at = case when outcome.state <> 'pending' then clock_timestamp() end
    from outcome
    -- By their key: the join alone might read all deliveries.
    where delivery.id = any ($1::bigint[])
      and delivery.id = outcome.delivery_id
      and delivery.state = outcome.state_before
    returning delivery.webhook_id, delivery.project_id, outcome.pause
),
waiting as (
    select lane.webhook_id, lane.project_id, settled.pause
    from settled
    join lshookd.lane on lane.webhook_id = settled.webhook_id and lane.project_id = settled.project_id
    where settled.pause is not null
    order by lane.webhook_id, lane.project_id
    for update of lane
)
update lshookd.lane
set due_at = clock_timestamp() + waiting.pause * interval '1 second',
    holder = null
from waiting
where lane.webhook_id = waiting.webhook_id
  and lane.project_id = waiting.project_id;

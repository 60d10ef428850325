-- Leases lanes of a webhook ($1) that nobody has to a consumer, and gives what waits in them, in order: $2 events at
-- most, and as many as make up $3 bytes, and at least one. The lanes are the consumer's for $4 seconds, under the name
-- $5, at the address $6. Lanes after the project $7 are looked at, some hundreds at most.
--
-- A lane whose last lease ended with something unacknowledged gives one event at a time, so that one which no consumer
-- survives takes no others with it.
with recursive webhook as materialized (
    select webhook_row.send_payload,
           (
               select payload_option.cloudevents from lshookd.payload_option where payload_option.webhook_id = $1
           ) as cloudevents,
           array(
               select secret.secret
               from lshookd.secret
               where secret.webhook_id = $1
                 and coalesce(secret.expires_at, 'infinity') > statement_timestamp()
               order by secret.created_at desc
           ) as secrets
    from lshookd.webhook_rows(array[$1::bigint]) as webhook_row
    where (
            webhook_row.is_active
            or exists (select from lshookd.adoption where adoption.webhook_id = $1 and adoption.released_at is null)
        )
      and not exists (select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = $1)
),
-- The index delivery_pending is asked for the next lane each time, however much is pending in each.
lane as (
    (
        select project_id
        from lshookd.delivery
        where webhook_id = $1 and state = 'pending' and project_id > $7::bigint
        order by project_id
        limit 1
    )
    union all
    select following.project_id
    from lane
    cross join lateral (
        select delivery.project_id
        from lshookd.delivery
        where delivery.webhook_id = $1 and delivery.state = 'pending' and delivery.project_id > lane.project_id
        order by delivery.project_id
        limit 1
    ) as following
),
free as (
    select lane.project_id,
           coalesce(lease.one_by_one, false) as one_by_one,
           coalesce(lease.turn, 0) as turn
    from lane
    left join lshookd.lease on lease.webhook_id = $1 and lease.project_id = lane.project_id
    where coalesce(lease.leased_until, '-infinity') <= statement_timestamp()
      and exists (select from webhook)
    limit 200
),
-- Of each lane as many as are wanted of all, for they may all be older than those of the others.
candidate as (
    select free.project_id,
           free.one_by_one,
           free.turn,
           waiting.*,
           row_number() over (order by waiting.id) as place
    from free
    cross join lateral (
        select delivery.id, delivery.event_id, delivery.message_id, delivery.attempts, delivery.schedule_from
        from lshookd.delivery
        where delivery.webhook_id = $1 and delivery.project_id = free.project_id and delivery.state = 'pending'
        order by delivery.id
        limit case when free.one_by_one then 1 else $2::bigint end
    ) as waiting
),
weighed as (
    select candidate.*,
           sum(coalesce(event.bytes, 0)) over (order by candidate.id) as bytes
    from candidate
    -- One by one, by their key: a join might read the table from its beginning.
    cross join lateral (
        select octet_length(event.body) as bytes
        from lshookd.event
        where event.id = candidate.event_id
        offset 0
    ) as event
    where candidate.place <= $2
),
chosen as (
    select *
    from weighed
    where place = 1
       or bytes <= $3::bigint
),
leased as (
    insert into lshookd.lease as lease
        (webhook_id, project_id, lease_id, is_held, consumer, first_id, last_id, leased_at, leased_until, one_by_one, turn)
    select $1,
           project_id,
           $5::uuid,
           true,
           $6::inet,
           min(id),
           max(id),
           clock_timestamp(),
           clock_timestamp() + $4::float8 * interval '1 second',
           bool_or(one_by_one),
           max(turn) + 1
    from chosen
    group by project_id
    order by project_id
    -- Not where somebody had it since this statement began: what was read of it may be delivered by now.
    on conflict (webhook_id, project_id) do update
        set lease_id = excluded.lease_id,
            is_held = true,
            consumer = excluded.consumer,
            first_id = excluded.first_id,
            last_id = excluded.last_id,
            leased_at = excluded.leased_at,
            leased_until = excluded.leased_until,
            turn = excluded.turn
        where lease.leased_until <= statement_timestamp() and lease.turn = excluded.turn - 1
    returning lease.project_id
)
select given.message_id,
       given.attempts,
       given.schedule_from,
       given.project_id,
       event.action,
       event.occurred_at,
       webhook.cloudevents,
       case when webhook.send_payload then event.body end as body,
       webhook.secrets
-- In order before their bodies are read, which are too many to be sorted.
from (
    select chosen.*
    from chosen
    join leased on leased.project_id = chosen.project_id
    order by chosen.id
) as given
cross join lateral (
    select event.action, event.occurred_at, event.body
    from lshookd.event
    where event.id = given.event_id
    offset 0
) as event
cross join webhook
order by given.id;

-- Who delivers a webhook: Label Studio, lshookd, or for the time being nobody.

-- A webhook that is not named here is Label Studio's, and lshookd delivers it beside Label Studio
-- while it is active. An adopted one is inactive in Label Studio's table, so that lshookd alone
-- delivers it. One that was given back, by "lshookd release" or by somebody who switched it on
-- again in Label Studio's pages, is delivered by Label Studio alone: lshookd still sends what
-- occurred before that moment.
create table lshookd.adoption (
    webhook_id   bigint      not null primary key,
    adopted_at   timestamptz not null default clock_timestamp(),
    released_at  timestamptz  -- null: lshookd delivers it
);

comment on table lshookd.adoption is
    'Webhooks that lshookd delivers in Label Studio''s place, or did until released_at.';

create table lshookd.pause (
    webhook_id  bigint,  -- null: all of them
    paused_at   timestamptz not null default clock_timestamp()
);

comment on table lshookd.pause is
    'Webhooks whose deliveries wait until an operator lets them go on; null stands for all.';

create unique index pause_webhook on lshookd.pause (coalesce(webhook_id, 0));

-- Notes the moment at which an adopted webhook was switched on again, in the transaction that
-- does so.
create function lshookd.capture_webhook_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    update lshookd.adoption
    set released_at = clock_timestamp()
    from added
    where adoption.webhook_id = added.id
      and adoption.released_at is null
      and added.is_active;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- As the queue's, so that an error can be told of when the disk is full; see reserve_room.sql.
alter table lshookd.capture_error set (vacuum_truncate = false);

-- Trying again ------------------------------------------------------------------------------

-- A delivery that is sent again starts its retry schedule from the beginning; its attempts go on
-- being counted.
alter table lshookd.delivery add column schedule_from integer not null default 0;

-- Attempts are written nearly in the order of their time, which is all that a BRIN index takes.
create index attempt_started on lshookd.attempt using brin (started_at) with (pages_per_range = 16, autosummarize = on);
create index delivery_dead on lshookd.delivery (webhook_id, id) where state = 'dead';

-- Makes deliveries wait again that have ended, each under the id that its receiver knows. Returns
-- how many there were.
create function lshookd.replay(deliveries bigint[]) returns bigint
    language sql
as $$
    with again as (
        update lshookd.delivery
        set state = 'pending',
            ended_at = null,
            schedule_from = attempts
        where id = any (deliveries)
          and state <> 'pending'
        returning webhook_id, project_id
    ),
    due as (
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select distinct webhook_id, project_id, now()
        from again
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = excluded.due_at
            where lane.due_at = 'infinity'
        returning 1
    ),
    woken as (
        select pg_notify('lshookd_lane', '')
        where exists (select from due)
    )
    select count(*) from again left join woken on true
$$;

-- Lets lanes go on that were held: all, or those of some webhooks.
create function lshookd.go_on(webhooks bigint[]) returns void
    language sql
as $$
    update lshookd.lane
    set due_at = clock_timestamp()
    where due_at < 'infinity'
      and (webhooks is null or webhook_id = any (webhooks));
    select pg_notify('lshookd_lane', '')
$$;

-- Looking in ---------------------------------------------------------------------------------

-- Until when somebody listens to all events, also to those that nobody subscribes to.
create table lshookd.listener (
    id             uuid        not null primary key default gen_random_uuid(),
    listens_until  timestamptz not null
);

comment on table lshookd.listener is
    'Who runs "lshookd listen" now: events are then stored even if nobody subscribes to them.';

alter table lshookd.event add column only_heard boolean not null default false;

comment on column lshookd.event.only_heard is
    'Stored for "lshookd listen" alone; gone after an hour.';

create index event_only_heard on lshookd.event (planned_at) where only_heard;

-- What existed before there was a subscription, announced afterwards.
create table lshookd.backfill (
    id           bigint      not null generated always as identity primary key,
    webhook_id   bigint      not null,
    action       text        not null,
    project_id   bigint,                -- null: all that the webhook concerns
    after_id     bigint      not null default 0,  -- the last object that was announced
    announced    bigint      not null default 0,
    started_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz
);

comment on table lshookd.backfill is
    'Runs of "lshookd backfill", and how far each has come.';

-- Views ---------------------------------------------------------------------------------------

create view lshookd.delivery_status as
select delivery.webhook_id,
       count(*) filter (where delivery.state = 'pending') as pending,
       count(*) filter (where delivery.state = 'delivered') as delivered,
       count(*) filter (where delivery.state = 'dead') as dead,
       count(*) filter (where delivery.state = 'cancelled') as cancelled,
       min(event.occurred_at) filter (where delivery.state = 'pending') as oldest_pending_at,
       max(delivery.ended_at) filter (where delivery.state = 'delivered') as last_delivered_at
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
group by delivery.webhook_id;

comment on view lshookd.delivery_status is
    'One row per webhook: how many deliveries are in which state, since when the oldest waits (timestamps in the server''s clock).';

create view lshookd.lag as
select (select count(*) from lshookd.change) as changes_waiting,
       coalesce((select extract(epoch from clock_timestamp() - min(captured_at)) from lshookd.change), 0)::float8
           as oldest_change_seconds,
       (select count(*) from lshookd.delivery where state = 'pending') as deliveries_pending,
       coalesce(
           (
               select extract(epoch from clock_timestamp() - min(event.occurred_at))
               from (
                   select lane.webhook_id, lane.project_id
                   from lshookd.lane
                   where lane.due_at < 'infinity'
               ) as lane
               cross join lateral (
                   select delivery.event_id
                   from lshookd.delivery
                   where delivery.webhook_id = lane.webhook_id
                     and delivery.project_id = lane.project_id
                     and delivery.state = 'pending'
                   order by delivery.id
                   limit 1
               ) as first
               join lshookd.event on event.id = first.event_id
           ),
           0
       )::float8 as oldest_delivery_seconds;

comment on view lshookd.lag is
    'One row: what waits to be planned and to be delivered, and for how many seconds the oldest of it.';

create view lshookd.dead_letter as
select delivery.id,
       delivery.message_id,
       delivery.webhook_id,
       delivery.project_id,
       event.action,
       event.object_count,
       event.occurred_at,
       delivery.attempts,
       delivery.ended_at as given_up_at,
       attempt.status as last_status,
       attempt.error as last_error
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
left join lshookd.attempt on attempt.delivery_id = delivery.id and attempt.number = delivery.attempts
where delivery.state = 'dead';

comment on view lshookd.dead_letter is
    'One row per delivery that was given up: select lshookd.replay(array[id]) sends it again.';

create view lshookd.failing_lane as
select lane.webhook_id,
       lane.project_id,
       lane.due_at,
       first.id as delivery_id,
       first.attempts,
       attempt.started_at as last_attempt_at,
       attempt.status as last_status,
       attempt.error as last_error
from lshookd.lane
cross join lateral (
    select delivery.id, delivery.attempts, delivery.schedule_from
    from lshookd.delivery
    where delivery.webhook_id = lane.webhook_id
      and delivery.project_id = lane.project_id
      and delivery.state = 'pending'
    order by delivery.id
    limit 1
) as first
join lshookd.attempt on attempt.delivery_id = first.id and attempt.number = first.attempts
where lane.due_at < 'infinity'
  and first.attempts > first.schedule_from;

comment on view lshookd.failing_lane is
    'One row per webhook and project whose next delivery has failed and is to be tried again at due_at.';

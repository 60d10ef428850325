-- Events, and their deliveries to the subscriptions of Label Studio's webhook table.

-- One row per event that somebody subscribes to. The body is frozen: every attempt of every
-- delivery sends the same bytes.
create table lshookd.event (
    id            bigint      not null generated always as identity primary key,
    action        text        not null,
    project_id    bigint      not null,
    object_count  integer     not null,
    occurred_at   timestamptz not null,  -- when the last of its changes was captured
    planned_at    timestamptz not null default clock_timestamp(),
    body          text                   -- null: every subscriber wants the action alone
);

comment on table lshookd.event is
    'Label Studio''s webhook events, with the JSON body that subscribers receive.';

-- One row per event and subscription. The key gives the order within a lane.
create table lshookd.delivery (
    id          bigint      not null generated always as identity primary key,
    message_id  uuid        not null default gen_random_uuid(),  -- sent as webhook-id
    event_id    bigint      not null references lshookd.event,
    webhook_id  bigint      not null,
    project_id  bigint      not null,
    state       text        not null default 'pending'
                check (state in ('pending', 'delivered', 'dead', 'cancelled')),
    attempts    integer     not null default 0,
    ended_at    timestamptz
) with (fillfactor = 85);

comment on table lshookd.delivery is
    'What each subscription is owed: pending, delivered, dead (given up, kept for a person to see) or cancelled (the subscription is gone).';

create index delivery_pending on lshookd.delivery (webhook_id, project_id, id) where state = 'pending';
create index delivery_event on lshookd.delivery (event_id);
create index delivery_ended on lshookd.delivery (ended_at) where state in ('delivered', 'cancelled');

-- One row per subscription and project: deliveries of a lane go out one after the other.
create table lshookd.lane (
    webhook_id  bigint      not null,
    project_id  bigint      not null,
    due_at      timestamptz not null,  -- when its next delivery may be tried; infinity: nothing waits
    primary key (webhook_id, project_id)
) with (fillfactor = 70);

comment on table lshookd.lane is
    'The ordered queues: one per subscription and project, and when each is due.';

create index lane_due on lshookd.lane (due_at) where due_at < 'infinity';

-- One row per request that was sent, or that could not be.
create table lshookd.attempt (
    delivery_id    bigint      not null references lshookd.delivery on delete cascade,
    number         integer     not null,
    started_at     timestamptz not null,
    duration_ms    integer     not null,
    status         smallint,            -- HTTP status; null: there was no answer
    error          text,                -- why the attempt counts as failed
    response_head  text,                -- the first 1,024 bytes of the answer
    primary key (delivery_id, number)
);

comment on table lshookd.attempt is
    'Every attempt of every delivery: when, how long, what the endpoint answered.';

-- Nothing waits in the lane: it is not due again until an event arrives. The lane is locked
-- before the look, so that an event which arrives meanwhile is either seen or wakes the lane.
create function lshookd.close_lane(webhook_id bigint, project_id bigint) returns boolean
    language plpgsql
as $$
begin
    perform from lshookd.lane
    where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id
    for update;
    if exists (
        select from lshookd.delivery
        where delivery.webhook_id = close_lane.webhook_id
          and delivery.project_id = close_lane.project_id
          and delivery.state = 'pending'
    ) then
        return false;
    end if;
    update lshookd.lane set due_at = 'infinity'
    where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id;
    return true;
end
$$;

-- The tables of lshookd, with their indexes. Functions, views and triggers are in folders of their own, in
-- their final form, and made anew by each installation.

-- Capture ---------------------------------------------------------------------------------------

-- What changed in Label Studio's tables: one row per statement and project, written by triggers inside the
-- writer's own transaction, and deleted by the planner in the transaction that turns it into events. A change
-- names its objects and does not copy them: an import of a hundred thousand tasks is a few rows.
create table lshookd.change (
    seq              bigint      not null generated always as identity primary key,
    xid              xid8        not null default pg_current_xact_id(),
    backend          integer     not null default pg_backend_pid(),
    -- Tells two sessions apart whose backends had the same process id one after the other: the first
    -- transaction that was captured in it. A session may set it to something else and gains nothing: its
    -- changes then count as those of another connection.
    session          text        not null default left(
        coalesce(
            nullif(current_setting('lshookd.session', true), ''),
            set_config('lshookd.session', pg_current_xact_id()::text, false)
        ),
        20
    ),
    captured_at      timestamptz not null default clock_timestamp(),
    relation         text        not null,  -- project, task, annotation or label_link; or watched_ and a kind
    operation        text        not null,  -- insert, update or delete
    project_id       bigint,                -- null: its parents know
    ids              bigint[]    not null,
    parents          bigint[],              -- beside each id: an annotation's task, a link's label
    moved            boolean     not null default false,  -- tasks that went from project to project, or out of one
    bulk             boolean     not null default false,  -- annotations that were made in bulk
    by_label_studio  boolean     not null default false,  -- the statement is Label Studio's own
    columns          text[],                -- the names of the columns that an update changed
    became_true      text[],                -- of them, those that are true now
    became_false     text[],                -- of them, those that are false now
    status           text                   -- the status of a storage, where it changed
);

comment on table lshookd.change is
    'Changes of Label Studio''s tables that lshookd has not turned into events yet.';

-- The table is a queue: it is small while the daemon runs and churns quickly. Its room is kept, so that
-- capture goes on for a while when the disk is full; see install/reserve_room.sql.
alter table lshookd.change set (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000,
    vacuum_truncate = false
);

-- No change below this waits. What was deleted from the queue stays in its table and index for as long as any transaction
-- in the cluster is older, a dump for example: whoever reads from here does not read through all of it. A sequence, for it
-- is set in place, where a row would leave its old versions behind as well.
create sequence lshookd.change_floor minvalue 0;

comment on sequence lshookd.change_floor is
    'No change of a lower number waits to be planned.';

-- Parts of projects whose counts may have changed, where the planner keeps counts of the project, which it takes anew
-- when the server has crashed.
create unlogged table lshookd.recount (
    project_id  bigint    not null,
    parts       bigint[]  not null  -- of 128 tasks by id: the id without its last seven bits
);

comment on table lshookd.recount is
    'Parts of large projects that are counted anew before the next payload shows the counts.';

alter table lshookd.recount set (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000,
    vacuum_truncate = false
);

-- Errors inside capture. They never reach Label Studio's statement; they are kept here.
create table lshookd.capture_error (
    at         timestamptz not null default clock_timestamp(),
    relation   text        not null,
    operation  text        not null,
    message    text        not null
) with (vacuum_truncate = false);

comment on table lshookd.capture_error is
    'Changes that could not be captured, and why. Label Studio''s own writes went through.';

-- Rows as they last were, of objects that were deleted while a change that needs them waits to be planned.
-- A row without an image stands for an object of which there was no room to keep more than the id.
create table lshookd.deleted_row (
    relation  text   not null,
    id        bigint not null,
    up_to     bigint not null,  -- of no use once all changes up to this one are planned
    image     json
);

comment on table lshookd.deleted_row is
    'Deleted rows that are still to be announced, or that what is to be announced belongs to.';

create index deleted_row_id on lshookd.deleted_row (relation, id);

-- Rows as watching triggers saw them, until their changes are planned. What is deleted goes to
-- lshookd.deleted_row.
create table lshookd.watched_row (
    seq       bigint not null generated always as identity primary key,
    relation  text   not null,
    id        bigint not null,
    xid       xid8   not null default pg_current_xact_id(),
    up_to     bigint not null,  -- of no use once all changes up to this one are planned
    before    json,             -- the row before an update, where a webhook wants it
    after     json              -- the row itself, where lshookd does not read it from its table
);

comment on table lshookd.watched_row is
    'Rows as watching triggers saw them, until their changes are planned.';

create index watched_row_id on lshookd.watched_row (relation, id);

-- As in lshookd.change, with the reason. They hold nobody up here, and nothing is lost.
create table lshookd.change_set_aside (
    set_aside_id  bigint      not null generated always as identity primary key,
    like lshookd.change,
    set_aside_at  timestamptz not null default clock_timestamp(),
    reason        text        not null
);

comment on table lshookd.change_set_aside is
    'Changes that could not be made into events, and why. When the cause is fixed: select lshookd.requeue_set_aside().';

-- How the connections of a client behave, as the planner has seen it: whether they end with the request that
-- they were opened for, or live on.
create table lshookd.client (
    role         text    not null,
    address      text    not null,  -- empty for a Unix socket
    application  text    not null,
    closed       integer not null default 0,
    lived_on     integer not null default 0,
    primary key (role, address, application)
);

comment on table lshookd.client is
    'How often connections of a client were closed after their work, and how often they lived on.';

-- Events and deliveries -------------------------------------------------------------------------

-- One row per event that a webhook wants. The body is frozen: every attempt of every delivery sends the same
-- bytes.
create table lshookd.event (
    id            bigint      not null generated always as identity primary key,
    action        text        not null,
    project_id    bigint      not null,
    object_count  integer     not null,
    occurred_at   timestamptz not null,  -- when the last of its changes was captured
    planned_at    timestamptz not null default clock_timestamp(),
    -- How the end of its action was known: the connection was closed, was idle, the wait reached its limit,
    -- or there was nothing to wait for.
    ended_by      text        check (ended_by in ('closed', 'idle', 'limit', 'none')),
    tap_only      boolean     not null default false,
    body          text                   -- null: every webhook wants the action alone
);

comment on table lshookd.event is
    'Label Studio''s webhook events, with the JSON body that endpoints receive.';
comment on column lshookd.event.tap_only is
    'Stored for "lshookd event listen" alone; deleted after an hour.';

create index event_tap_only on lshookd.event (planned_at) where tap_only;

-- Bodies are compressed by lz4, which takes a tenth of the time of PostgreSQL's own way, where the server has
-- it: it is new in PostgreSQL 14, and a matter of how the server was built.
do $$
begin
    execute 'alter table lshookd.event alter column body set compression lz4';
exception when others then
    null; -- The column stays as it is.
end
$$;

-- One row per event and webhook. The key gives the order within a lane.
create table lshookd.delivery (
    id             bigint      not null generated always as identity primary key,
    -- Sent as webhook-id. A UUID of version 7 (RFC 9562), so that its index grows at one end: the milliseconds since
    -- 1970 over the first 48 bits of a random one, and 0111 in place of its version.
    message_id     uuid        not null default encode(
        set_bit(
            set_bit(
                overlay(
                    uuid_send(gen_random_uuid())
                    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                    from 1 for 6
                ),
                52,
                1
            ),
            53,
            1
        ),
        'hex'
    )::uuid,
    event_id       bigint      not null references lshookd.event,
    webhook_id     bigint      not null,
    project_id     bigint      not null,
    state          text        not null default 'pending'
                   check (state in ('pending', 'delivered', 'dead', 'cancelled', 'skipped')),
    attempts       integer     not null default 0,
    -- A delivery that is replayed starts its retry schedule from the beginning; its attempts go on being
    -- counted.
    schedule_from  integer     not null default 0,
    ended_at       timestamptz
) with (fillfactor = 85);

comment on table lshookd.delivery is
    'What each webhook is owed: pending, delivered, dead (no further attempts, kept for a person to see), cancelled (the webhook is deleted) or skipped (by an operator).';

create index delivery_pending on lshookd.delivery (webhook_id, project_id, id) where state = 'pending';
-- What has failed and is retried: few, however much is pending.
create index delivery_failing on lshookd.delivery (webhook_id, project_id, id) where state = 'pending' and attempts > schedule_from;
create index delivery_message on lshookd.delivery (message_id);
create index delivery_event on lshookd.delivery (event_id);
create index delivery_delivered on lshookd.delivery (webhook_id, ended_at) where state = 'delivered';
-- What is delivered is found by its webhook, so that it is in one index less.
create index delivery_undelivered on lshookd.delivery (ended_at) where state in ('cancelled', 'skipped', 'dead');
create index delivery_dead on lshookd.delivery (webhook_id, id) where state = 'dead';

-- One row per webhook and project: deliveries of a lane go out one after the other.
create table lshookd.lane (
    webhook_id  bigint      not null,
    project_id  bigint      not null,
    due_at      timestamptz not null,  -- when its next delivery may be attempted; infinity: nothing is pending
    held_until  timestamptz,           -- as long as it is due then, it waits for its webhook to be delivered again
    holder      uuid,                  -- the daemon that works on it, as long as lshookd.active_role has it as a deliverer
    -- None of its deliveries up to this one is pending: these are in the index delivery_pending for as long as any
    -- transaction in the cluster is older.
    ended_up_to bigint      not null default 0,
    primary key (webhook_id, project_id)
) with (fillfactor = 70);

comment on table lshookd.lane is
    'The ordered queues: one per webhook and project, when each is due, and which daemon works on it.';

create index lane_due on lshookd.lane (due_at) where due_at < 'infinity';

-- One row per request that was sent, or that could not be. Attempts go with their delivery, by a trigger for each
-- statement: a foreign key would look for the delivery of each attempt anew.
create table lshookd.attempt (
    delivery_id    bigint      not null,  -- lshookd.delivery.id
    number         integer     not null,
    started_at     timestamptz not null,
    duration_ms    integer     not null,
    status         smallint,            -- HTTP status; null: there was no answer
    error          text,                -- why the attempt counts as failed
    response_head  text,                -- the first 1,024 bytes of the answer
    address        inet,                -- of the endpoint; null: there was no connection
    protocol       text,                -- HTTP/1.1 or HTTP/2
    dns_ms         integer,             -- to open the connection: resolving the name,
    tcp_ms         integer,             -- connecting to an address,
    tls_ms         integer,             -- and the TLS handshake; null: the connection was there already
    answer_ms      integer,             -- from there until the head of the answer
    primary key (delivery_id, number)
);

comment on table lshookd.attempt is
    'Every attempt of every delivery: when, how long, what the endpoint answered.';

-- Attempts are written nearly in the order of their time, which is all that a BRIN index takes.
-- The few that took minutes, as those of ML backends that train; sql/ops/attempts_since.sql looks for them.
create index attempt_failed on lshookd.attempt (started_at) where error is not null;
create index attempt_long on lshookd.attempt (started_at) where duration_ms > 100000;
create index attempt_started on lshookd.attempt using brin (started_at) with (pages_per_range = 16, autosummarize = on);

-- Webhooks --------------------------------------------------------------------------------------

-- What requests are signed with (Standard Webhooks). A secret is 32 random bytes; two random UUIDs hold 244 of
-- the bits that they are made of.
create table lshookd.secret (
    webhook_id  bigint      not null,
    secret      text        not null default 'whsec_' || encode(
        sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'
    ),
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz,  -- null: it is valid until it is rotated
    primary key (webhook_id, secret)
);

comment on table lshookd.secret is
    'The signing secrets of each webhook. One is made with the first delivery.';

-- Who delivers a webhook: Label Studio, lshookd, or for the time being nobody. A webhook that is not named here
-- is Label Studio's, and lshookd delivers it beside Label Studio while it is active. An adopted one is inactive
-- in Label Studio's table, so that lshookd alone delivers it. One that was released, by "lshookd webhook release" or by
-- somebody who activated it in Label Studio's pages, is delivered by Label Studio alone: lshookd still delivers
-- what occurred before that moment.
--
-- Both moments divide what Label Studio posts from what lshookd delivers, by the snapshot of the transaction that
-- adopts or releases: what was committed before is the one's, what comes after the other's. Actions that were in
-- flight count as coming after, for Label Studio looks for webhooks at the end of a request.
create table lshookd.adoption (
    webhook_id          bigint       not null primary key,
    adopted_at          timestamptz  not null default clock_timestamp(),
    adopted_snapshot    pg_snapshot  not null default pg_current_snapshot(),
    adopted_in_flight   xid8[]       not null default '{}',
    released_at         timestamptz,  -- null: lshookd delivers it
    released_snapshot   pg_snapshot,
    released_in_flight  xid8[]
);

comment on table lshookd.adoption is
    'Webhooks that lshookd delivers in Label Studio''s place, or did until released_at.';

create table lshookd.pause (
    webhook_id     bigint,      -- null: all of them
    paused_at      timestamptz  not null default clock_timestamp(),
    failing_since  timestamptz  -- lshookd paused it, for it had only failed since then; null: an operator did
);

comment on table lshookd.pause is
    'Webhooks whose deliveries are held back until an operator resumes them; null stands for all.';

create unique index pause_webhook on lshookd.pause (coalesce(webhook_id, 0));

-- Kept up by the deliverer, each minute.
create table lshookd.failing_webhook (
    webhook_id    bigint       not null primary key,
    since         timestamptz  not null default statement_timestamp(),
    is_warned_of  boolean      not null default false
);

comment on table lshookd.failing_webhook is
    'Webhooks to which nothing could be delivered, although it was tried, and since when.';

-- Actions that Label Studio does not have.
create table lshookd.additional_action (
    name  text  not null primary key
);

comment on table lshookd.additional_action is
    'The actions that lshookd has beyond Label Studio''s.';

create table lshookd.chosen_action (
    webhook_id  bigint  not null,
    action      text    not null references lshookd.additional_action,
    primary key (webhook_id, action)
);

comment on table lshookd.chosen_action is
    'Which webhooks receive which additional actions.';

create table lshookd.payload_option (
    webhook_id        bigint   not null primary key,
    enrich_deletions  boolean  not null default false,
    previous          boolean  not null default false,
    cloudevents       text     check (cloudevents in ('binary', 'structured'))
);

comment on table lshookd.payload_option is
    'How a webhook wants its events: deletions with what was deleted, updates with what was before, as CloudEvents.';

-- How requests to a webhook are made, where it is not as the settings say.
create table lshookd.delivery_option (
    webhook_id       bigint    not null primary key,
    connect_timeout  interval  check (connect_timeout > interval '0'),
    answer_timeout   interval  check (answer_timeout > interval '0'),
    await_answer     boolean   not null default true,
    retry_schedule   interval[],
    maximum_age      interval  check (maximum_age > interval '0'),  -- what is older is dead without an attempt
    rate_limit       float8    check (rate_limit > 0),              -- requests in a second
    concurrency      integer   check (concurrency > 0),             -- requests in flight
    proxy            text      check (proxy = 'direct' or proxy like 'http://_%'),  -- may hold a password
    pause_after      interval  check (pause_after >= interval '0')  -- when it has only failed; 0: it is never paused
);

comment on table lshookd.delivery_option is
    'How requests to a webhook are made, where it is not as the settings say: timeouts, retries, age, how many in a second and at once, the proxy, and when it is paused.';

-- Webhooks whose events consumers pull, in place of requests that are made to them.
create table lshookd.puller (
    webhook_id    bigint      not null primary key,
    token_hash    bytea,      -- SHA-256 of the token; null: it was revoked
    token_set_at  timestamptz not null default clock_timestamp()
);

comment on table lshookd.puller is
    'Webhooks whose events consumers pull, and the hash of the token that each asks for.';

-- One row per lane that a consumer has or had: its events go to one consumer at a time.
create table lshookd.lease (
    webhook_id    bigint      not null,
    project_id    bigint      not null,
    lease_id      uuid        not null,    -- the latest lease, which may be of several lanes
    is_held       boolean     not null,    -- whether the consumer still has it
    consumer      inet,                    -- from where it was asked for
    first_id      bigint      not null,    -- the first delivery that was given
    last_id       bigint,                  -- and the last; null: all of them are acknowledged
    leased_at     timestamptz not null,
    leased_until  timestamptz not null,    -- the lane is given to nobody before
    one_by_one    boolean     not null,    -- the last lease ended with something unacknowledged
    turn          bigint      not null,    -- how often the lane was leased
    primary key (webhook_id, project_id)
) with (fillfactor = 70);

comment on table lshookd.lease is
    'Which consumer has which lane of a webhook that is pulled, and until when.';

create index lease_given on lshookd.lease (webhook_id) where last_id is not null;

-- What each additional action, and each payload option, takes.
create table lshookd.watch_need (
    purpose    text  not null,  -- an action's name, or that of a column of lshookd.payload_option
    relation   text  not null,
    operation  text  not null,
    primary key (purpose, relation, operation)
);

insert into lshookd.watch_need (purpose, relation, operation)
values ('TASK_UPDATED', 'task', 'update'),
       ('TASKS_UPDATED', 'task', 'update'),
       ('TASKS_COMPLETED', 'task', 'insert'),  -- Imported with annotations, they are complete at once.
       ('TASKS_COMPLETED', 'task', 'update'),
       ('TASKS_REOPENED', 'task', 'update'),
       ('PROJECT_COMPLETED', 'task', 'insert'),
       ('PROJECT_COMPLETED', 'task', 'update'),
       ('ANNOTATION_SKIPPED', 'annotation', 'insert'),
       ('ANNOTATION_SKIPPED', 'annotation', 'update'),
       ('GROUND_TRUTH_SET', 'annotation', 'insert'),
       ('GROUND_TRUTH_SET', 'annotation', 'update'),
       ('PREDICTIONS_CREATED', 'prediction', 'insert'),
       ('PREDICTIONS_DELETED', 'prediction', 'delete'),
       ('DRAFT_CREATED', 'draft', 'insert'),
       ('DRAFT_UPDATED', 'draft', 'update'),
       ('DRAFT_DELETED', 'draft', 'delete'),
       ('STORAGE_SYNC_STARTED', 'storage', 'update'),
       ('STORAGE_SYNC_COMPLETED', 'storage', 'update'),
       ('STORAGE_SYNC_FAILED', 'storage', 'update'),
       ('USER_CREATED', 'user', 'insert'),
       ('USER_CREATED', 'user', 'update'),  -- A new user's organization comes after it.
       ('USER_UPDATED', 'user', 'update'),
       ('USER_DELETED', 'user', 'delete'),
       ('LABEL_CREATED', 'label', 'insert'),
       ('LABEL_UPDATED', 'label', 'update'),
       ('LABEL_DELETED', 'label', 'delete');

insert into lshookd.additional_action (name)
select distinct purpose from lshookd.watch_need;

-- What lshookd itself has to say, for which nothing is watched.
insert into lshookd.additional_action (name)
values ('OPERATIONAL_EVENT');

insert into lshookd.watch_need (purpose, relation, operation)
select purpose.name, relation.name, purpose.operation
from (values ('enrich_deletions', 'delete'), ('previous', 'update')) as purpose (name, operation)
cross join (values ('project'), ('task'), ('annotation'), ('label_link')) as relation (name);

comment on table lshookd.watch_need is
    'Which triggers each additional action and each payload option takes.';

-- Projects that were announced as completed, until a task is added or reopened.
create table lshookd.completed_project (
    project_id    bigint      not null primary key,
    completed_at  timestamptz not null default clock_timestamp()
);

comment on table lshookd.completed_project is
    'Projects whose completion was announced, until a task is added or reopened.';

-- Rules: which events of a webhook are delivered, as what, and how often. A rule governs some actions of one
-- webhook: of these, only events that pass the filter of a rule are delivered. What no rule governs is
-- delivered as it is.
create table lshookd.rule (
    name           text     not null primary key,
    webhook_id     bigint   not null,
    actions        text[]   not null default '{}',   -- the filter; empty: every action
    condition      text,                             -- an expression in CEL; null: always true
    on_transition  boolean  not null default false,  -- only when the condition becomes true
    threshold      integer  check (threshold > 0),   -- one event for so many objects
    throttle       interval check (throttle > interval '0'),  -- minimum time between two events; the latest counts
    rename_action  text     check (rename_action ~ '^[A-Z][A-Z0-9_]{0,99}$'),  -- an action's name in its place
    template       text,                             -- the body, as a template
    parameters     jsonb    not null default '{}' check (jsonb_typeof(parameters) = 'object')
);

comment on table lshookd.rule is
    'Filters, conditions, thresholds and templates, by webhook. See docs/rules.md.';

create index rule_webhook on lshookd.rule (webhook_id);

-- How far a rule has come in a project; 0 stands for the organization.
create table lshookd.rule_state (
    rule               text         not null references lshookd.rule on delete cascade,
    project_id         bigint       not null,
    was_true           boolean      not null default false,
    counted            bigint       not null default 0,  -- objects since an event passed it
    passed_at          timestamptz,                      -- when an event passed it last
    throttled_action   text,                             -- the event that waits until throttle has passed
    throttled_body     text,
    throttled_at       timestamptz,
    throttled_objects  integer,
    primary key (rule, project_id)
);

comment on table lshookd.rule_state is
    'What rules have counted, and the events that they throttle.';

create index rule_state_throttled on lshookd.rule_state (rule) where throttled_body is not null;

-- Daemons and operators -------------------------------------------------------------------------

-- Which daemon is active in which role. The proof is the heartbeat, which only a daemon can write: an advisory
-- lock can be taken by anybody.
create table lshookd.active_role (
    role      text        not null check (role in ('planner', 'deliverer', 'retention')),
    holder    uuid        not null,  -- the daemon's own name
    backend   integer     not null default pg_backend_pid(),
    since     timestamptz not null default clock_timestamp(),
    beat_at   timestamptz not null default clock_timestamp(),
    primary key (role, holder)
) with (fillfactor = 50);

-- Any number of daemons deliver.
create unique index active_role_single on lshookd.active_role (role) where role <> 'deliverer';

comment on table lshookd.active_role is
    'Which daemon is active in which role, and its latest heartbeat.';

-- The settings that a daemon runs by, secrets masked, and where each came from: those of a command may be others.
create table lshookd.daemon_setting (
    holder  uuid  not null,  -- as in lshookd.active_role
    key     text  not null,
    value   text  not null,
    origin  text  not null,
    primary key (holder, key)
);

comment on table lshookd.daemon_setting is
    'The settings that running daemons use, and where each came from.';

-- What of a running daemon does not work, though it delivers; it says so again every minute.
create table lshookd.daemon_fault (
    holder   uuid         not null,  -- the daemon's own name
    fault    text         not null,  -- admin-listener
    message  text         not null,
    seen_at  timestamptz  not null default clock_timestamp(),
    primary key (holder, fault)
);

comment on table lshookd.daemon_fault is
    'What of running daemons does not work, and why.';

-- What operational events told: states that last ("webhook-failing" and others) until they end, and when and up to what
-- others were told last.
create table lshookd.operation (
    kind     text        not null,
    subject  text        not null,  -- a webhook, a role; empty: the whole
    told_at  timestamptz not null default statement_timestamp(),
    until    timestamptz,
    mark     text,
    primary key (kind, subject)
);

comment on table lshookd.operation is
    'What operational events have told already. Empty while no webhook has chosen them.';

-- What people changed by the console or by commands.
create table lshookd.audit (
    id       bigint      not null generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    who      text        not null,
    way      text        not null check (way in ('console', 'command')),
    what     text        not null,  -- such as "webhook pause"
    subject  text        not null,  -- of what: "webhook 12"
    detail   text,                  -- no secrets
    failure  text                   -- why it was refused or failed; null: it was done
);

comment on table lshookd.audit is
    'What people changed by the console and by commands: who, when, and whether it was done.';

-- Until when somebody taps all events, also those that no webhook wants.
create table lshookd.tap (
    id          uuid        not null primary key default gen_random_uuid(),
    taps_until  timestamptz not null
);

comment on table lshookd.tap is
    'Who runs "lshookd event listen" now: events are then stored even if no webhook wants them.';

-- What existed before there was a webhook, announced afterwards.
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
    'Runs of "lshookd event backfill", and how far each has come.';

-- A publication of all tables refuses updates and deletions of tables that have neither a key nor this.
alter table lshookd.recount replica identity full;
alter table lshookd.deleted_row replica identity full;
alter table lshookd.capture_error replica identity full;
alter table lshookd.pause replica identity full;

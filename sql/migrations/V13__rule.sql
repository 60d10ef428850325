-- Rules: which events of a webhook are sent, as what, and how often.
--
-- A rule governs some actions of one webhook: of these, only what some rule lets through is sent. What no rule
-- governs is sent as ever.

create table lshookd.rule (
    name           text     not null primary key,
    webhook        bigint   not null,
    actions        text[]   not null default '{}',   -- what it governs; empty: every action
    condition      text,                             -- an expression in CEL; null: always true
    once           boolean  not null default false,  -- only when the condition becomes true
    after          integer  check (after > 0),       -- one event for so many objects
    at_most_every  interval check (at_most_every > interval '0'),  -- and then the latest
    announce_as    text     check (announce_as ~ '^[A-Z][A-Z0-9_]{0,99}$'),  -- an action's name of one's own
    template       text,                             -- the body: the name of a ready-made template, or one
    parameters     jsonb    not null default '{}' check (jsonb_typeof(parameters) = 'object')
);

comment on table lshookd.rule is
    'Filters, conditions, thresholds and bodies of one''s own, by webhook. See docs/rules.md.';

create index rule_webhook on lshookd.rule (webhook);

-- Rules as files write them, the interval in ISO 8601.
create view lshookd.written_rule as
select name,
       webhook,
       json_build_object(
           'name', name,
           'webhook', webhook,
           'actions', actions,
           'condition', condition,
           'once', once,
           'after', after,
           'at_most_every', 'PT' || extract(epoch from at_most_every) || 'S',
           'announce_as', announce_as,
           'template', template,
           'parameters', parameters
       ) as rule
from lshookd.rule;

comment on view lshookd.written_rule is
    'Rules as JSON, in the form of a file.';

-- How far a rule has come in a project; 0 stands for the organization.
create table lshookd.rule_state (
    rule            text         not null references lshookd.rule on delete cascade,
    project_id      bigint       not null,
    was_true        boolean      not null default false,
    counted         bigint       not null default 0,  -- objects since it last let an event through
    let_through_at  timestamptz,
    held_action     text,                             -- what waits until at_most_every has passed
    held_body       text,
    held_at         timestamptz,
    held_objects    integer,
    primary key (rule, project_id)
);

comment on table lshookd.rule_state is
    'What rules have counted, and the events that they hold back for the time being.';

create index rule_state_held on lshookd.rule_state (rule) where held_body is not null;

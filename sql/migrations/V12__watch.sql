-- What Label Studio never tells: who wants to hear of it, and the triggers that watch for it.
--
-- Nothing here runs before somebody asks for it. A row in one of the first two tables puts the
-- triggers on that it takes, in the same transaction; the last row that goes takes them off.

-- Actions that Label Studio does not have, by webhook. Label Studio's own tables never name them.
create table lshookd.action (
    name  text  not null primary key
);

comment on table lshookd.action is
    'The actions that lshookd has beyond Label Studio''s.';

create table lshookd.wanted_action (
    webhook_id  bigint  not null,
    action      text    not null references lshookd.action,
    primary key (webhook_id, action)
);

comment on table lshookd.wanted_action is
    'Which webhooks receive which of the actions that Label Studio does not have.';

create table lshookd.preference (
    webhook_id        bigint   not null primary key,
    enrich_deletions  boolean  not null default false,
    previous          boolean  not null default false,
    cloudevents       text     check (cloudevents in ('binary', 'structured'))
);

comment on table lshookd.preference is
    'How a webhook wants its events: deletions with what was deleted, updates with what was before, as CloudEvents.';

-- What is watched -----------------------------------------------------------------------------

-- What each action, and each preference, takes.
create table lshookd.need (
    purpose    text  not null,  -- an action's name, or that of a column of lshookd.preference
    relation   text  not null,
    operation  text  not null,
    primary key (purpose, relation, operation)
);

insert into lshookd.need (purpose, relation, operation)
values ('TASK_UPDATED', 'task', 'update'),
       ('TASKS_UPDATED', 'task', 'update'),
       ('TASKS_COMPLETED', 'task', 'update'),
       ('TASKS_REOPENED', 'task', 'update'),
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
       ('COMMENT_CREATED', 'comment', 'insert'),
       ('COMMENT_UPDATED', 'comment', 'update'),
       ('COMMENT_DELETED', 'comment', 'delete'),
       ('USER_CREATED', 'user', 'insert'),
       ('USER_CREATED', 'user', 'update'),  -- A new user's organization comes after it.
       ('USER_UPDATED', 'user', 'update'),
       ('USER_DELETED', 'user', 'delete'),
       ('LABEL_CREATED', 'label', 'insert'),
       ('LABEL_UPDATED', 'label', 'update'),
       ('LABEL_DELETED', 'label', 'delete');

insert into lshookd.action (name)
select distinct purpose from lshookd.need;

insert into lshookd.need (purpose, relation, operation)
select purpose.name, relation.name, purpose.operation
from (values ('enrich_deletions', 'delete'), ('previous', 'update')) as purpose (name, operation)
cross join (values ('project'), ('task'), ('annotation'), ('label_link')) as relation (name);

-- Rows as they were seen by a watching trigger, until the changes are planned: what is deleted
-- goes to lshookd.last_image, where all that is deleted before it is announced can be found.
create table lshookd.image (
    seq       bigint not null generated always as identity primary key,
    relation  text   not null,
    id        bigint not null,
    xid       xid8   not null default pg_current_xact_id(),
    up_to     bigint not null,  -- of no use once all changes up to this one are planned
    before    json,             -- the row before an update, where somebody wants it
    after     json              -- the row itself, where lshookd does not read it from its table
);

comment on table lshookd.image is
    'Rows as watching triggers saw them, until their changes are planned.';

create index image_id on lshookd.image (relation, id);

-- The tables of Label Studio that a relation is; none where its version does not have it.
create function lshookd.tables_of(relation text) returns setof regclass
    language sql
    stable
    rows 2
    set search_path = pg_catalog, pg_temp
as $$
    select class.oid::regclass
    from pg_trigger as ours
    join pg_class as task on task.oid = ours.tgrelid
    join pg_class as class on class.relnamespace = task.relnamespace and class.relkind in ('r', 'p')
    where ours.tgname = 'lshookd_task_insert'
      and ours.tgfoid = 'lshookd.capture_task_insert'::regproc
      and case relation
              when 'project' then class.relname = 'project'
              when 'task' then class.relname = 'task'
              when 'annotation' then class.relname = 'task_completion'
              when 'label_link' then class.relname = 'labels_manager_labellink'
              when 'prediction' then class.relname = 'prediction'
              when 'draft' then class.relname = 'tasks_annotationdraft'
              when 'label' then class.relname = 'labels_manager_label'
              when 'user' then class.relname = 'htx_user'
              when 'comment' then class.relname in ('comment', 'comments_comment')
              when 'storage' then class.relname like 'io\_storages\_%storage' and exists (
                  select
                  from pg_attribute as attribute
                  where attribute.attrelid = class.oid
                    and attribute.attname = 'status'
                    and not attribute.attisdropped
              )
          end
$$;

-- The triggers that are wanted now. Each has a function of its own, which can be dropped, and its
-- trigger with it, by a role that does not own Label Studio's table.
create view lshookd.watch as
select distinct
       format('watches_%s_%s', class.relname, need.operation) as name,
       need.relation,
       need.operation,
       class.oid as target,
       (
           -- Not always "id": a model of Django's that extends another has the other's key.
           select attribute.attname
           from pg_index as key
           join pg_attribute as attribute on attribute.attrelid = key.indrelid and attribute.attnum = key.indkey[0]
           where key.indrelid = class.oid and key.indisprimary
       ) as key
from lshookd.need
cross join lateral lshookd.tables_of(need.relation) as target (oid)
join pg_class as class on class.oid = target.oid
where need.purpose in (select action from lshookd.wanted_action)
   or (need.purpose = 'enrich_deletions' and exists (select from lshookd.preference where enrich_deletions))
   or (need.purpose = 'previous' and exists (select from lshookd.preference where previous));

comment on view lshookd.watch is
    'The watching triggers that the wanted actions and preferences take.';

-- Watching functions that are there, each with how many tables it watches.
create view lshookd.watcher as
select watcher.proname as name,
       count(trigger.oid) filter (where trigger.tgenabled in ('O', 'A')) as triggers
from pg_proc as watcher
left join pg_trigger as trigger on trigger.tgfoid = watcher.oid
where watcher.pronamespace = 'lshookd'::regnamespace
  and watcher.proname like 'watches\_%'
  and watcher.prorettype = 'trigger'::regtype
group by watcher.proname;

comment on view lshookd.watcher is
    'The watching triggers that there are.';

-- Puts on what is wanted and takes off what is not. The functions are copies of the three below.
-- Where a table is locked, what is to be put on fails, and what is to be taken off stays until
-- the next time.
create function lshookd.watch_as_wanted() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '4s'
    set jit = off
as $$
declare
    wanted record;
    unwanted record;
begin
    -- One at a time: two would make the same function.
    perform pg_advisory_xact_lock(1819503723, 5);
    for unwanted in
        select watcher.name
        from lshookd.watcher
        where watcher.triggers = 0
           or not exists (select from lshookd.watch where watch.name = watcher.name)
    loop
        begin
            execute format('drop function lshookd.%I() cascade', unwanted.name);
        exception when lock_not_available then
            raise warning 'lshookd.% goes on watching for the time being: the table is locked', unwanted.name;
        end;
    end loop;
    for wanted in
        select watch.*, template.prosrc as body
        from lshookd.watch
        join pg_proc as template
            on template.pronamespace = 'lshookd'::regnamespace
            and template.proname = 'watch_' || watch.operation
        where not exists (select from lshookd.watcher where watcher.name = watch.name)
        order by watch.name
    loop
        execute format(
            'create function lshookd.%I() returns trigger language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp as %L',
            wanted.name, wanted.body
        );
        execute format(
            'create trigger %I after %s on %s referencing %s for each statement execute function lshookd.%I(%L, %L)',
            'lshookd_watch_' || wanted.operation,
            wanted.operation,
            wanted.target::regclass,
            case wanted.operation
                when 'insert' then 'new table as added'
                when 'update' then 'old table as removed new table as added'
                when 'delete' then 'old table as removed'
            end,
            wanted.name,
            wanted.relation,
            wanted.key
        );
    end loop;
end
$$;

create function lshookd.watch_what_is_wanted() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform lshookd.watch_as_wanted();
    return null;
end
$$;

create trigger wanted_action_changed
    after insert or update or delete or truncate on lshookd.wanted_action
    for each statement execute function lshookd.watch_what_is_wanted();

create trigger preference_changed
    after insert or update or delete or truncate on lshookd.preference
    for each statement execute function lshookd.watch_what_is_wanted();

-- What a watching trigger sees -----------------------------------------------------------------

-- The project that a row is in; 0 for what is in none but the organization.
create function lshookd.home_of(relation text, label_studio name, "row" jsonb) returns bigint
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    project bigint;
begin
    if relation in ('user', 'label') then
        return 0;
    elsif relation = 'project' then
        return "row" -> 'id';
    end if;
    project := "row" ->> 'project_id';
    if project is null and "row" ? 'task_id' then
        execute format('select project_id from %I.task where id = $1', label_studio)
        into project
        using ("row" ->> 'task_id')::bigint;
    end if;
    return project;
end
$$;

-- What a row belongs to: a task, or the organization.
create function lshookd.parent_of(relation text, "row" jsonb) returns bigint
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case relation
               when 'user' then "row" ->> 'active_organization_id'
               when 'label' then "row" ->> 'organization_id'
               else "row" ->> 'task_id'
           end::bigint
$$;

-- What is different: the names of columns, without those of bookkeeping; and of those that hold
-- true or false, and of a status, what they hold now, as "name=value".
create function lshookd.facts(relation text, before jsonb, after jsonb) returns text[]
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
               array_agg(
                   case
                       when jsonb_typeof(field.value) = 'boolean' or field.key = 'status'
                       then field.key || '=' || (after ->> field.key)
                       else field.key
                   end
                   order by field.key
               ),
               '{}'
           )
    from jsonb_each(after) as field
    where field.value is distinct from before -> field.key
      and field.key <> all (
              case relation
                  when 'task' then array['updated_at', 'updated_by_id', 'project_id', 'total_annotations', 'cancelled_annotations',
                                         'total_predictions', 'comment_count', 'unresolved_comment_count',
                                         'last_comment_updated_at', 'precomputed_agreement']
                  when 'draft' then array['updated_at']
                  when 'comment' then array['updated_at']
                  when 'label' then array['updated_at']
                  when 'user' then array['last_activity', 'activity_at', 'last_login', 'password']
                  else '{}'
              end
          )
$$;

-- The row as it is shown: of users and storages what is no secret.
create function lshookd.shown(relation text, source name, "row" json) returns json
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case relation
               when 'user' then json_build_object(
                   'id', "row" -> 'id',
                   'username', "row" -> 'username',
                   'email', "row" -> 'email',
                   'first_name', "row" -> 'first_name',
                   'last_name', "row" -> 'last_name',
                   'is_active', "row" -> 'is_active',
                   'active_organization', "row" -> 'active_organization_id',
                   'date_joined', "row" -> 'date_joined'
               )
               when 'storage' then json_build_object(
                   'id', coalesce("row" -> 'id', "row" -> (select key from json_object_keys("row") as key where key like '%\_ptr\_id')),
                   'type', substring(source from '^io_storages_(.*?)(?:import|export)?storage$'),
                   'direction', coalesce(substring(source from '(import|export)storage$'), 'import'),
                   'title', "row" -> 'title',
                   'description', "row" -> 'description',
                   'project', "row" -> 'project_id',
                   'created_at', "row" -> 'created_at',
                   'status', "row" -> 'status',
                   'last_sync', "row" -> 'last_sync',
                   'last_sync_count', "row" -> 'last_sync_count',
                   'last_sync_job', "row" -> 'last_sync_job'
               )
               else "row"
           end
$$;

-- Whether rows of this relation are read from their table when an event is made of them.
create function lshookd.is_read(relation text) returns boolean
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select relation in ('project', 'task', 'annotation', 'label_link')
$$;

-- A change names 500 objects at most, so that an event can be made of a part of them.
create function lshookd.watch_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.home_of(tg_argv[0], tg_table_schema, sight."row") as project_id,
               lshookd.parent_of(tg_argv[0], sight."row") as parent,
               case
                   when tg_argv[0] = 'annotation'
                   then array(
                       select flag || '=true'
                       from unnest(array['ground_truth', 'was_cancelled']) as flag
                       where sight."row" -> flag = 'true'
                   )
                   else '{}'
               end as facts,
               row_number() over () / 500 as portion
        from added
        cross join lateral to_jsonb(added) as sight ("row")
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
    select 'watched_' || tg_argv[0], 'insert', project_id, array_agg(id order by id), array_agg(parent order by id), facts
    from seen
    where not lshookd.is_read(tg_argv[0]) or facts <> '{}'
    group by project_id, facts, portion
    order by portion;
    if not found then
        return null;
    end if;
    if not lshookd.is_read(tg_argv[0]) then
        insert into lshookd.image (relation, id, up_to, after)
        select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, newest.seq,
               lshookd.shown(tg_argv[0], tg_table_name, sight."row")
        from (select row_to_json(added) as "row" from added) as sight
        cross join (select max(seq) as seq from lshookd.change) as newest;
    end if;
    perform lshookd.wake();
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

create function lshookd.watch_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    with seen as materialized (
        select (after."row" ->> tg_argv[1])::bigint as id,
               lshookd.home_of(tg_argv[0], tg_table_schema, after."row") as project_id,
               lshookd.parent_of(tg_argv[0], after."row") as parent,
               fact.list as facts,
               row_number() over () / 500 as portion
        from (select to_jsonb(removed) as "row" from removed) as before
        join (select to_jsonb(added) as "row" from added) as after
            on after."row" -> tg_argv[1] = before."row" -> tg_argv[1]
        cross join lateral lshookd.facts(tg_argv[0], before."row", after."row") as fact (list)
        where fact.list <> '{}'
          and (tg_argv[0] <> 'storage' or array_to_string(fact.list, ',') ~ 'status=')
          and (tg_argv[0] <> 'annotation' or array_to_string(fact.list, ',') ~ '(ground_truth|was_cancelled)=')
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
    select 'watched_' || tg_argv[0], 'update', project_id, array_agg(id order by id), array_agg(parent order by id), facts
    from seen
    where tg_argv[0] not in ('project', 'label_link')
    group by project_id, facts, portion
    order by portion;
    if found then
        perform lshookd.wake();
    end if;
    -- Also of what Label Studio has an action for, whose change is in the queue by now.
    insert into lshookd.image (relation, id, up_to, before, after)
    select tg_argv[0], (after."row" ->> tg_argv[1])::bigint, newest.seq,
           case when wanted.previous then lshookd.shown(tg_argv[0], tg_table_name, before."row") end,
           case when not lshookd.is_read(tg_argv[0]) then lshookd.shown(tg_argv[0], tg_table_name, after."row") end
    from (select row_to_json(removed) as "row" from removed) as before
    join (select row_to_json(added) as "row" from added) as after
        on after."row" ->> tg_argv[1] = before."row" ->> tg_argv[1]
    cross join (select exists (select from lshookd.preference where previous) as previous) as wanted
    cross join (select max(seq) as seq from lshookd.change) as newest
    where newest.seq is not null
      and (wanted.previous or not lshookd.is_read(tg_argv[0]));
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

create function lshookd.watch_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.home_of(tg_argv[0], tg_table_schema, sight."row") as project_id,
               lshookd.parent_of(tg_argv[0], sight."row") as parent,
               row_number() over () / 500 as portion
        from removed
        cross join lateral to_jsonb(removed) as sight ("row")
        where not lshookd.is_read(tg_argv[0])
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'watched_' || tg_argv[0], 'delete', project_id, array_agg(id order by id), array_agg(parent order by id)
    from seen
    group by project_id, portion
    order by portion;
    if found then
        perform lshookd.wake();
    end if;
    insert into lshookd.last_image (relation, id, up_to, image)
    select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, newest.seq,
           lshookd.shown(tg_argv[0], tg_table_name, sight."row")
    from (select row_to_json(removed) as "row" from removed) as sight
    cross join (select max(seq) as seq from lshookd.change) as newest
    where newest.seq is not null;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Projects that were announced as completed, until there is something to do in them again.
create table lshookd.completed_project (
    project_id    bigint      not null primary key,
    completed_at  timestamptz not null default clock_timestamp()
);

comment on table lshookd.completed_project is
    'Projects that PROJECT_COMPLETED told of, until a task is added or reopened.';

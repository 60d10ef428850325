-- What changed in Label Studio's tables, one row per statement and project.
--
-- The rows are written by the triggers below, inside the writer's own transaction, and
-- deleted by the planner in the transaction that turns them into events. A change names
-- its objects and does not copy them: importing a hundred thousand tasks is a few rows.

create table lshookd.change (
    seq          bigint      not null generated always as identity primary key,
    xid          xid8        not null default pg_current_xact_id(),
    backend      integer     not null default pg_backend_pid(),
    captured_at  timestamptz not null default clock_timestamp(),
    relation     text        not null,  -- project, task, annotation or label_link
    operation    text        not null,  -- insert, update or delete
    project_id   bigint,                -- null: an annotation that names none; its task knows
    ids          bigint[]    not null,
    parents      bigint[],              -- beside each id: an annotation's task, a link's label
    detail       text[]                 -- update of a project: the names of the changed columns;
                                        -- insert of annotations: {bulk} when they were made in bulk;
                                        -- tasks, and deletions of annotations: {django} when the
                                        -- statement is Label Studio's own
);

comment on table lshookd.change is
    'Changes of Label Studio''s tables that lshookd has not turned into events yet.';

-- The table is a queue: it is small while the daemon runs and churns quickly.
alter table lshookd.change set (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);

-- Errors inside capture. They never reach Label Studio's statement; they are kept here,
-- where `lshookd run` and `lshookd install` see them.
create table lshookd.capture_error (
    at         timestamptz not null default clock_timestamp(),
    relation   text        not null,
    operation  text        not null,
    message    text        not null
);

comment on table lshookd.capture_error is
    'Changes that could not be captured, and why. Label Studio''s own writes went through.';

-- Rows as they last were, of objects that were deleted while a change of theirs still waits to
-- be planned: the event about it is then made of these. Nearly always empty.
create table lshookd.last_image (
    relation  text   not null,
    id        bigint not null,
    up_to     bigint not null,  -- of no use once all changes up to this one are planned
    image     json   not null
);

comment on table lshookd.last_image is
    'Deleted rows that are still to be announced as created or updated.';

create index last_image_id on lshookd.last_image (relation, id);

-- Whether so many changes wait that looking through them would slow a writer down.
create function lshookd.is_crowded() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(max(seq) - min(seq) > 1000, false) from lshookd.change
$$;

-- Wakes a sleeping planner, and no other: NOTIFY takes a lock at commit that serializes the
-- writers of the whole cluster. A planner that is about to sleep takes this advisory lock
-- exclusively, which it gets only when no capturing transaction is in flight; it looks at
-- the table once more and sleeps holding it. Nobody ever waits for the lock.
create function lshookd.wake() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_try_advisory_xact_lock_shared(1819503723, 0) then
        perform pg_notify('lshookd', '');
    end if;
end
$$;

create function lshookd.capture_failed(relation text, operation text, message text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise warning 'lshookd could not capture % on %: %', operation, relation, message
        using hint = 'The statement itself went through. Run "lshookd install" to repair the triggers.';
    insert into lshookd.capture_error (relation, operation, message)
    values (capture_failed.relation, capture_failed.operation, capture_failed.message);
exception when others then
    null; -- The warning is all that is left to do.
end
$$;

-- Whether the statement is one of Label Studio's own: Django quotes every name.
create function lshookd.statement_detail() returns text[]
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select case when left(current_query(), 16) like '%"%' then '{django}'::text[] end
$$;

-- Tasks ---------------------------------------------------------------------------------

create function lshookd.capture_task_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, detail)
    select 'task', 'insert', project_id, array_agg(id order by id), lshookd.statement_detail()
    from added
    where project_id is not null
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Only a task's move out of its project or into one is an event. Label Studio deletes tasks
-- by first setting their project to null, and updates counters of tasks all the time.
create function lshookd.capture_task_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, detail)
    select 'task', move.operation, move.project_id, array_agg(removed.id order by removed.id), lshookd.statement_detail()
    from removed
    join added on added.id = removed.id
    cross join lateral (values ('delete', removed.project_id), ('insert', added.project_id))
        as move (operation, project_id)
    where added.project_id is distinct from removed.project_id
      and move.project_id is not null
    group by move.operation, move.project_id
    order by move.operation;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

create function lshookd.capture_task_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.last_image (relation, id, up_to, image)
    select 'task', removed.id, waiting.up_to, row_to_json(removed)
    from removed
    cross join (select max(seq) as up_to from lshookd.change) as waiting
    where waiting.up_to is not null
      and case
              when lshookd.is_crowded() then true
              else removed.id in (
                       select unnest(change.ids) from lshookd.change
                       where change.relation = 'task' and change.operation <> 'delete'
                   ) or removed.id in (
                        select unnest(change.parents) from lshookd.change
                        where change.relation = 'annotation' and change.operation <> 'delete'
                    )
          end;
    insert into lshookd.change (relation, operation, project_id, ids, detail)
    select 'task', 'delete', project_id, array_agg(id order by id), lshookd.statement_detail()
    from removed
    where project_id is not null
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Annotations ---------------------------------------------------------------------------

-- Made in bulk is what one statement makes of many rows, and what Label Studio makes of
-- predictions even when it is a single one: such a row names its prediction and nobody who
-- edited it, where one submitted in the editor names both. A reference that a version of Label
-- Studio does not have is taken from "absent".
create function lshookd.capture_annotation_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
    select 'annotation', 'insert', project_id, array_agg(id order by id), array_agg(task_id order by id),
           case
               when count(*) > 1 then '{bulk}'::text[]
               when bool_or(derived) then '{bulk}'::text[]
           end
    from (select null as parent_prediction_id, null as parent_annotation_id, null as updated_by_id) as absent
    cross join lateral (
        select id, task_id, project_id,
               num_nonnulls(parent_prediction_id, parent_annotation_id) > 0 and updated_by_id is null as derived
        from added
    ) as annotation
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Label Studio's model moves updated_at with every real save. Where it did not move, the row
-- counts as changed only if something beside Label Studio's bookkeeping did, and a reference
-- that became null is the shadow of a deletion elsewhere.
create function lshookd.capture_annotation_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'update', added.project_id,
           array_agg(added.id order by added.id), array_agg(added.task_id order by added.id)
    from removed
    join added on added.id = removed.id
    where case
              when added.updated_at is distinct from removed.updated_at then true
              when added *= removed then false
              else exists (
                  select
                  from jsonb_each(to_jsonb(added)) as after
                  join jsonb_each(to_jsonb(removed)) as before on before.key = after.key
                  where after.value is distinct from before.value
                    and not (after.key like '%\_id' and after.value = 'null')
                    and after.key not in ('updated_by_id', 'last_created_by_id', 'last_action', 'result_count',
                                          'unique_id', 'import_id', 'draft_created_at', 'bulk_created')
              )
          end
    group by added.project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Annotations of tasks that have left their project, or are gone, are deleted along with these:
-- Label Studio may do so in another transaction, and the tasks first.
create function lshookd.capture_annotation_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    staying bigint[];
begin
    execute format(
        'select array(select id::bigint from %I.task where id = any ($1) and project_id is not null)',
        tg_table_schema
    ) into staying using (select array_agg(distinct task_id::bigint) from removed);
    insert into lshookd.last_image (relation, id, up_to, image)
    select 'annotation', removed.id, waiting.up_to, row_to_json(removed)
    from removed
    cross join (select max(seq) as up_to from lshookd.change) as waiting
    where waiting.up_to is not null
      and case
              when lshookd.is_crowded() then true
              else removed.id in (
                       select unnest(change.ids) from lshookd.change
                       where change.relation = 'annotation' and change.operation <> 'delete'
                   )
          end;
    insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
    select 'annotation', 'delete', project_id, array_agg(id order by id), array_agg(task_id order by id),
           lshookd.statement_detail()
    from removed
    where task_id is null or task_id = any (staying)
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Projects ------------------------------------------------------------------------------

create function lshookd.capture_project_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids)
    select 'project', 'insert', id, array[id]
    from added
    order by id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- The names of the changed columns go along: what Label Studio does to a project in passing
-- (a cached label configuration, an import's model version) is told apart by them.
create function lshookd.capture_project_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, detail)
    select 'project', 'update', added.id, array[added.id], changed.columns
    from removed
    join added on added.id = removed.id
    cross join lateral (
        select array_agg(after.key order by after.key) as columns
        from jsonb_each(to_jsonb(added)) as after
        join jsonb_each(to_jsonb(removed)) as before on before.key = after.key
        where after.value is distinct from before.value
    ) as changed
    where changed.columns is not null
    order by added.id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- The organization goes along: whom a deletion concerns can no longer be looked up.
create function lshookd.capture_project_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.last_image (relation, id, up_to, image)
    select 'project', removed.id, waiting.up_to, row_to_json(removed)
    from removed
    cross join (select max(seq) as up_to from lshookd.change) as waiting
    where waiting.up_to is not null
      and case
              when lshookd.is_crowded() then true
              else removed.id in (
                       select unnest(change.ids) from lshookd.change
                       where change.relation = 'project' and change.operation <> 'delete'
                   )
          end;
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'project', 'delete', id, array[id], array[organization_id]
    from removed
    order by id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Label links ---------------------------------------------------------------------------

create function lshookd.capture_label_link_write() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'label_link', lower(tg_op), project_id, array_agg(id order by id), array_agg(label_id order by id)
    from added
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

create function lshookd.capture_label_link_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.last_image (relation, id, up_to, image)
    select 'label_link', removed.id, waiting.up_to, row_to_json(removed)
    from removed
    cross join (select max(seq) as up_to from lshookd.change) as waiting
    where waiting.up_to is not null
      and case
              when lshookd.is_crowded() then true
              else removed.id in (
                       select unnest(change.ids) from lshookd.change
                       where change.relation = 'label_link' and change.operation <> 'delete'
                   )
          end;
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'label_link', 'delete', project_id, array_agg(id order by id), array_agg(label_id order by id)
    from removed
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Drops one of our triggers, on whichever table of the caller's search path it is. Only the
-- table's owner can, so the function runs with the caller's rights.
create function lshookd.drop_trigger(name text) returns void
    language plpgsql
as $$
declare
    found_trigger record;
begin
    for found_trigger in
        select tgname, tgrelid::regclass as relation
        from pg_catalog.pg_trigger
        where tgname = drop_trigger.name
          and pg_catalog.pg_table_is_visible(tgrelid)
    loop
        execute pg_catalog.format('drop trigger %I on %s', found_trigger.tgname, found_trigger.relation);
    end loop;
end
$$;

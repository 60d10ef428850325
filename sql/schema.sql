-- What is installed, as pg_dump writes it. Made by a test; see CONTRIBUTING.md.

CREATE SCHEMA lshookd;

CREATE FUNCTION lshookd.analyze_queues() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    relation regclass;
begin
    for relation in
        select oid
        from pg_class
        where relnamespace = 'lshookd'::regnamespace
          and relkind = 'r'
          -- Of a table of which there are none yet, PostgreSQL goes by its size.
          and reltuples >= 0
          and pg_stat_get_live_tuples(oid) > greatest(1000, 10 * reltuples)
    loop
        execute format('analyze (skip_locked) %s', relation);
    end loop;
end
$$;

CREATE FUNCTION lshookd.annotation_differs(before jsonb, after jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (
        select
        from jsonb_each(after) as new
        join jsonb_each(before) as old on old.key = new.key
        where new.value is distinct from old.value
          and not (new.key like '%\_id' and new.value = 'null')
          and new.key not in ('updated_by_id', 'last_created_by_id', 'last_action', 'result_count', 'unique_id',
                              'import_id', 'draft_created_at', 'bulk_created')
    )
$$;

CREATE FUNCTION lshookd.annotation_rows(ids bigint[]) RETURNS TABLE(id bigint, parent bigint, "row" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select annotation.id::bigint, annotation.task_id::bigint, row_to_json(annotation)::text
    from public.task_completion as annotation
    where annotation.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.announce_lanes() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if lshookd.may_notify() then
        perform pg_notify('lshookd_lane', '');
    end if;
end
$$;

CREATE FUNCTION lshookd.capture_annotation_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    unplanned record;
begin
    select * into unplanned from lshookd.unplanned();
    -- What waits are deletions, most often, the moves of the annotations' tasks among them.
    if (
        case
            when unplanned.newest is null then false
            when unplanned.keep_all then true
            else exists (select from lshookd.waiting_change as change where change.operation <> 'delete')
        end
    ) then
        insert into lshookd.deleted_row (relation, id, up_to, image)
        select 'annotation', removed.id, unplanned.newest,
               case when not unplanned.ids_alone then row_to_json(removed) end
        from removed
        where case
                  when unplanned.keep_all then true
                  else removed.id in (
                           select unnest(change.ids) from lshookd.waiting_change as change
                           where change.relation in ('annotation', 'watched_annotation')
                             and change.operation <> 'delete'
                       )
              end;
    end if;
    insert into lshookd.change (relation, operation, project_id, ids, parents, by_label_studio)
    select 'annotation', 'delete', project_id, array_agg(id order by id), array_agg(task_id order by id),
           lshookd.is_label_studios()
    from removed
    group by project_id;
    if found then
        perform lshookd.wake();
        perform lshookd.counts_changed(project_id, array_agg(task_id)) from removed group by project_id;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_annotation_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made record;
begin
    select count(*) as quantity,
           min(annotation.id) as id,
           min(annotation.task_id) as task_id,
           min(annotation.project_id) as project_id,
           bool_or(annotation.derived) as derived
    into made
    from (select null as parent_prediction_id, null as parent_annotation_id, null as updated_by_id) as absent
    cross join lateral (
        select id, task_id, project_id,
               (parent_prediction_id is not null or parent_annotation_id is not null) and updated_by_id is null
                   as derived
        from added
    ) as annotation;
    -- Statement triggers fire for statements that made nothing, too.
    if made.quantity = 0 then
        return null;
    elsif made.quantity = 1 then
        insert into lshookd.change (relation, operation, project_id, ids, parents, bulk)
        values ('annotation', 'insert', made.project_id, array[made.id], array[made.task_id], made.derived);
        if not pg_try_advisory_xact_lock_shared(1819503723, 64 + (made.project_id & 63)::integer) then
            perform lshookd.counts_changed(made.project_id, array[made.task_id]);
        end if;
    else
        insert into lshookd.change (relation, operation, project_id, ids, parents, bulk)
        select 'annotation', 'insert', project_id, array_agg(id order by id), array_agg(task_id order by id),
               count(*) > 1 or bool_or(derived)
        from (select null as parent_prediction_id, null as parent_annotation_id, null as updated_by_id) as absent
        cross join lateral (
            select id, task_id, project_id,
                   (parent_prediction_id is not null or parent_annotation_id is not null) and updated_by_id is null
                       as derived
            from added
        ) as annotation
        -- An event is of one project, and one statement may write to several.
        group by project_id;
        perform lshookd.counts_changed(project_id, array_agg(task_id)) from added group by project_id;
    end if;
    -- Seldom does anybody sleep who has to be woken; see lshookd.wake.
    if not pg_try_advisory_xact_lock_shared(1819503723, 0) then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_annotation_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'update', added.project_id,
           array_agg(added.id order by added.id) filter (where added.id is not null),
           array_agg(added.task_id order by added.id) filter (where added.id is not null)
    from removed
    full join added on added.id = removed.id
    where added.updated_at is distinct from removed.updated_at
       or not added *= removed and lshookd.annotation_differs(to_jsonb(removed), to_jsonb(added))
    group by added.project_id
    having count(added.id) > 0;
    -- Seldom does anybody sleep who has to be woken; see lshookd.wake.
    if found and not pg_try_advisory_xact_lock_shared(1819503723, 0) then
        perform lshookd.wake();
    end if;
    perform lshookd.counts_changed(counted.project_id, array_agg(counted.task_id))
    from (select null as was_cancelled, null as ground_truth, null as result) as absent
    cross join lateral (
        select state.project_id, state.task_id
        from (
            select id, project_id, task_id, was_cancelled as skipped, ground_truth as truth, result is null as empty
            from removed
        ) as before
        full join (
            select id, project_id, task_id, was_cancelled as skipped, ground_truth as truth, result is null as empty
            from added
        ) as after on after.id = before.id
        cross join lateral (values (before.project_id, before.task_id), (after.project_id, after.task_id))
            as state (project_id, task_id)
        where after.skipped is distinct from before.skipped
           or after.truth is distinct from before.truth
           or after.empty is distinct from before.empty
           or after.task_id is distinct from before.task_id
           or after.project_id is distinct from before.project_id
    ) as counted
    group by counted.project_id
    having not pg_try_advisory_xact_lock_shared(1819503723, 64 + (counted.project_id & 63)::integer);
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_failed(relation text, operation text, message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    raise warning 'lshookd could not capture % on %: %', operation, relation, left(message, 1000)
        using hint = 'The statement itself went through. Run "lshookd install" to repair the triggers.';
    insert into lshookd.capture_error (relation, operation, message)
    values (left(capture_failed.relation, 100), capture_failed.operation, left(capture_failed.message, 1000));
exception when others then
    null; -- The warning is all that is left to do.
end
$$;

CREATE FUNCTION lshookd.capture_label_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'label', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_label_link_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'label_link', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
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

CREATE FUNCTION lshookd.capture_label_link_write() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION lshookd.capture_migration_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.change (relation, operation, ids)
    values ('migration', 'insert', '{}');
    perform lshookd.wake();
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_project_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'project', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
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

CREATE FUNCTION lshookd.capture_project_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION lshookd.capture_project_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, columns, by_label_studio)
    select 'project', 'update', added.id, array[added.id], changed.columns, lshookd.is_label_studios()
    from removed
    full join added on added.id = removed.id
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

CREATE FUNCTION lshookd.capture_task_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    unplanned record;
begin
    select * into unplanned from lshookd.unplanned();
    -- What waits are deletions, most often, the tasks' own moves among them.
    if (
        case
            when unplanned.newest is null then false
            when unplanned.keep_all then true
            else exists (
                select from lshookd.waiting_change as change
                where change.operation <> 'delete' or change.project_id is null
            )
        end
    ) then
        insert into lshookd.deleted_row (relation, id, up_to, image)
        select 'task', removed.id, unplanned.newest, case when not unplanned.ids_alone then row_to_json(removed) end
        from removed
        where case
                  when unplanned.keep_all then true
                  else removed.id in (
                           select unnest(change.ids) from lshookd.waiting_change as change
                           where change.relation in ('task', 'watched_task') and change.operation <> 'delete'
                       ) or removed.id in (
                           select unnest(change.parents) from lshookd.waiting_change as change
                           where change.relation in ('annotation', 'watched_annotation') and change.operation <> 'delete'
                              or change.project_id is null
                       )
              end;
    end if;
    insert into lshookd.change (relation, operation, project_id, ids, by_label_studio)
    select 'task', 'delete', project_id, array_agg(id order by id), lshookd.is_label_studios()
    from removed
    where project_id is not null
    group by project_id;
    if found then
        perform lshookd.wake();
        perform lshookd.counts_changed(project_id, array_agg(id)) from removed group by project_id;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_task_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, by_label_studio)
    select 'task', 'insert', project_id, array_agg(id order by id), lshookd.is_label_studios()
    from added
    where project_id is not null
    group by project_id;
    if found then
        perform lshookd.wake();
        perform lshookd.counts_changed(project_id, array_agg(id)) from added group by project_id;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_task_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    captured record;
begin
    perform
    from (select null as id, null as project_id, null as is_labeled) as absent
    cross join lateral (
        select
        from (select id as task, project_id as project, is_labeled as finished from removed) as before
        full join (select id as task, project_id as project, is_labeled as finished from added) as after
            on after.task = before.task
        where after.project is distinct from before.project
           or after.finished is distinct from before.finished
    ) as changed;
    -- By far the most: counters.
    if not found then
        return null;
    end if;
    begin
        if exists (
            select
            from removed
            full join added on added.id = removed.id
            where added.project_id is distinct from removed.project_id
        ) then
            for captured in
                insert into lshookd.change (relation, operation, project_id, ids, moved, by_label_studio)
                select 'task', move.operation, move.project_id, array_agg(move.id order by move.id), true,
                       lshookd.is_label_studios()
                from removed
                full join added on added.id = removed.id
                cross join lateral (
                    values ('delete', removed.project_id, removed.id), ('insert', added.project_id, added.id)
                ) as move (operation, project_id, id)
                where added.project_id is distinct from removed.project_id
                  and move.project_id is not null
                group by move.operation, move.project_id
                -- The deletion first: a webhook of both projects learns that a task left before it learns where it came.
                order by move.operation
                returning project_id, ids
            loop
                perform lshookd.counts_changed(captured.project_id, captured.ids);
            end loop;
            perform lshookd.wake();
        end if;
        perform lshookd.counts_changed(project_id, array_agg(id))
        from added
        -- A deletion moves thousands out of their project, which is told above.
        where project_id is not null
        group by project_id
        having not pg_try_advisory_xact_lock_shared(1819503723, 64 + (project_id & 63)::integer);
    exception when others then
        perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    end;
    return null;
end
$$;

CREATE FUNCTION lshookd.capture_webhook_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if new.is_active and exists (
        select
        from lshookd.active_role
        join lshookd.daemon_setting as setting on setting.holder = active_role.holder
        where active_role.role = 'planner'
          and setting.key = 'adopt_new'
          and setting.value = 'true'
    ) then
        insert into lshookd.adoption (webhook_id)
        values (new.id)
        on conflict do nothing;
        new.is_active := false;
    end if;
    return new;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return new;
end
$$;

CREATE FUNCTION lshookd.capture_webhook_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update lshookd.adoption
    set released_at = clock_timestamp(),
        released_snapshot = pg_current_snapshot(),
        released_in_flight = lshookd.in_flight()
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

CREATE FUNCTION lshookd.close_lanes(webhook_ids bigint[], project_ids bigint[], keep_open boolean[], settled bigint) RETURNS TABLE(place bigint, is_empty boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform
    from unnest(close_lanes.webhook_ids, close_lanes.project_ids) as given (webhook_id, project_id)
    join lshookd.lane on lane.webhook_id = given.webhook_id and lane.project_id = given.project_id
    order by lane.webhook_id, lane.project_id
    for update of lane;
    return query
    with seen as materialized (
        select given.place,
               given.webhook_id,
               given.project_id,
               lane.ended_up_to as ended,
               oldest.id is null as is_empty,
               oldest.id is null and not given.keeps_open as closes,
               least(close_lanes.settled, oldest.id - 1) as ends_at
        from unnest(close_lanes.webhook_ids, close_lanes.project_ids, close_lanes.keep_open)
            with ordinality as given (webhook_id, project_id, keeps_open, place)
        left join lshookd.lane on lane.webhook_id = given.webhook_id and lane.project_id = given.project_id
        left join lateral (
            select delivery.id
            from lshookd.delivery
            where delivery.webhook_id = given.webhook_id
              and delivery.project_id = given.project_id
              and delivery.state = 'pending'
              and delivery.id > lane.ended_up_to
            order by delivery.id
            limit 1
        ) as oldest on true
    ),
    written as (
        update lshookd.lane
        set due_at = case when seen.closes then 'infinity' else lane.due_at end,
            holder = case when not seen.closes then lane.holder end,
            ended_up_to = greatest(seen.ended, seen.ends_at)
        from seen
        where lane.webhook_id = seen.webhook_id
          and lane.project_id = seen.project_id
          and (seen.closes or seen.ends_at > seen.ended + 1000)
    )
    select seen.place, seen.is_empty
    from seen;
end
$$;

CREATE FUNCTION lshookd.counts_changed(project bigint, tasks bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not pg_try_advisory_xact_lock_shared(1819503723, 64 + (project & 63)::integer) then
        begin
            insert into lshookd.recount (project_id, parts)
            select project, array_agg(distinct coalesce(task >> 7, -1))
            from unnest(tasks) as listed (task);
        exception when others then
            perform lshookd.capture_failed('recount', 'INSERT', sqlerrm);
        end;
    end if;
end
$$;

CREATE FUNCTION lshookd.create_webhook(organization bigint, project bigint, url text, send_payload boolean, chosen text[], headers jsonb, active boolean) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
declare
    created bigint;
begin
    insert into public.webhook as webhook
        (organization_id, project_id, url, send_payload, send_for_all_actions, headers, is_active, created_at, updated_at)
    values (organization, project, create_webhook.url, create_webhook.send_payload, chosen is null, create_webhook.headers,
            active, clock_timestamp(), clock_timestamp())
    returning webhook.id into created;
    insert into public.webhook_action (webhook_id, action)
    select created, given.action
    from unnest(chosen) as given (action);
    return created;
end
$$;

CREATE FUNCTION lshookd.delete_attempts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    delete from lshookd.attempt
    where delivery_id = any (array(select id from removed));
    return null;
end
$$;

CREATE FUNCTION lshookd.delete_webhooks(ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    delete from public.webhook_action as webhook_action
    where webhook_action.webhook_id = any (ids);
    return query
    delete from public.webhook as webhook
    where webhook.id = any (ids)
    returning webhook.id::bigint;
end
$$;

CREATE FUNCTION lshookd.differences(relation text, before jsonb, after jsonb, OUT columns text[], OUT became_true text[], OUT became_false text[], OUT status text) RETURNS record
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select array_agg(field.key order by field.key),
           array_agg(field.key order by field.key) filter (where field.value = 'true'),
           array_agg(field.key order by field.key) filter (where field.value = 'false'),
           max(field.value #>> '{}') filter (where field.key = 'status')
    from jsonb_each(after) as field
    where field.value is distinct from before -> field.key
      and field.key <> all (
              case relation
                  when 'task' then array['updated_at', 'updated_by_id', 'project_id', 'total_annotations', 'cancelled_annotations',
                                         'total_predictions', 'comment_count', 'unresolved_comment_count',
                                         'last_comment_updated_at', 'precomputed_agreement']
                  when 'draft' then array['updated_at']
                  when 'label' then array['updated_at']
                  when 'user' then array['last_activity', 'activity_at', 'last_login', 'password']
                  else '{}'
              end
          )
$$;

CREATE FUNCTION lshookd.drop_trigger(label_studio name, relation name, trigger name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    found_trigger record;
begin
    for found_trigger in
        select installed.tgname, installed.tgrelid::regclass as relation, function.oid::regprocedure as function,
               function.pronamespace = 'lshookd'::regnamespace as is_ours
        from pg_trigger as installed
        join pg_class as class on class.oid = installed.tgrelid
        join pg_namespace as namespace on namespace.oid = class.relnamespace
        join pg_proc as function on function.oid = installed.tgfoid
        where namespace.nspname = drop_trigger.label_studio
          and class.relname = drop_trigger.relation
          and installed.tgname = drop_trigger.trigger
    loop
        if found_trigger.is_ours then
            execute format('drop function %s cascade', found_trigger.function);
        else
            execute format('drop trigger %I on %s', found_trigger.tgname, found_trigger.relation);
        end if;
    end loop;
end
$$;

CREATE FUNCTION lshookd.fail_given(deliveries bigint[], moments timestamp with time zone[], consumers inet[], reason text, attempts_allowed integer) RETURNS TABLE(failed bigint, dead bigint)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with given as materialized (
        select *
        from unnest(deliveries, moments, consumers) as listed (id, leased_at, consumer)
    ),
    counted as (
        update lshookd.delivery
        set attempts = attempts + 1,
            state = case when attempts + 1 - schedule_from >= attempts_allowed then 'dead' else 'pending' end,
            ended_at = case when attempts + 1 - schedule_from >= attempts_allowed then clock_timestamp() end
        -- By their key: a join might read the table from its beginning, and what is pending by its index (which serves for
        -- the written word alone) be compared with all of them.
        where id = any (deliveries)
          and state = (select 'pending')
        returning id, attempts, state
    ),
    noted as (
        insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, error, address, protocol)
        select id,
               attempts,
               leased_at,
               least(extract(epoch from clock_timestamp() - leased_at) * 1000, 2147483647)::integer,
               reason,
               consumer,
               'pull'
        -- A full join, and no condition within: another might compare each of thousands with each.
        from (
            select counted.id, counted.attempts, given.leased_at, given.consumer
            from counted
            full join given on given.id = counted.id
            offset 0
        ) as failed
        where id is not null
        on conflict (delivery_id, number) do nothing
    )
    select count(*),
           count(*) filter (where state = 'dead')
    from counted
$$;

CREATE FUNCTION lshookd.in_flight() RETURNS xid8[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(array_agg(distinct change.xid), '{}')
    from lshookd.waiting_change as change
    where exists (select from pg_stat_get_activity(change.backend) as activity where activity.pid is not null)
$$;

CREATE FUNCTION lshookd.is_label_studios() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select left(current_query(), 16) like '%"%'
$$;

CREATE FUNCTION lshookd.is_read(relation text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select relation in ('project', 'task', 'annotation', 'label_link')
$$;

CREATE FUNCTION lshookd.label_link_rows(ids bigint[]) RETURNS TABLE(id bigint, parent bigint, "row" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select link.id::bigint, link.label_id::bigint, row_to_json(link)::text
    from public.labels_manager_labellink as link
    where link.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.label_rows(ids bigint[]) RETURNS TABLE(id bigint, "row" text, links bigint[], projects bigint[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select label.id::bigint,
           row_to_json(label)::text,
           array(
               select link.id::bigint
               from public.labels_manager_labellink as link
               where link.label_id = label.id
               order by link.id
           ),
           array(
               select link.project_id::bigint
               from public.labels_manager_labellink as link
               where link.label_id = label.id
               order by link.project_id
           )
    from public.labels_manager_label as label
    where label.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.label_studio_migration() RETURNS TABLE(name text, applied timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select migration.app::text || '.' || migration.name::text, migration.applied::timestamptz
    from public.django_migrations as migration
    where migration.app = 'tasks'
    order by migration.name desc
    limit 1;
end
$$;

CREATE FUNCTION lshookd.labeled_projects(ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select given.project_id
    from unnest(ids) as given (project_id)
    where exists (select from public.task as task where task.project_id = given.project_id)
      and not exists (
          select from public.task as task where task.project_id = given.project_id and not task.is_labeled
      );
end
$$;

CREATE FUNCTION lshookd.linked_pairs(link oid, own text, other text, owners bigint[]) RETURNS TABLE(owner_id bigint, linked_id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $_$
declare
    is_empty boolean;
begin
    select link_table.relkind = 'r' and not link_table.relhassubclass and pg_relation_size(link_table.oid) = 0
    into is_empty
    from pg_class as link_table
    join pg_class as task on task.oid = 'public.task'::regclass
    where link_table.oid = link and link_table.relnamespace = task.relnamespace;
    if not found then
        raise exception 'table % is not Label Studio''s', link::regclass;
    end if;
    -- Most of these tables are, and to plan the question takes longer than all else here.
    if is_empty then
        return;
    end if;
    -- Without order or groups, which would take longer to plan than to run.
    return query execute format(
        'select %1$I::bigint, %2$I::bigint from %3$s where %1$I = any ($1)',
        own, other, link::regclass
    ) using owners;
end
$_$;

CREATE FUNCTION lshookd.make_lanes_due(webhooks bigint[], projects bigint[], at_once boolean) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with given as materialized (
        select webhook_id,
               project_id,
               exists (select from lshookd.puller where puller.webhook_id = listed.webhook_id) as is_pulled
        from unnest(webhooks, projects) as listed (webhook_id, project_id)
        group by webhook_id, project_id
    ),
    due as (
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select webhook_id, project_id, case when is_pulled then 'infinity' else now() end
        from given
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = case
                    when excluded.due_at < 'infinity' and (at_once or lane.due_at = 'infinity') then excluded.due_at
                    else lane.due_at
                end,
                ended_up_to = 0
        returning 1
    )
    select lshookd.announce_lanes()
    where exists (select from due)
       or exists (select from given where is_pulled)
$$;

CREATE FUNCTION lshookd.may_notify() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select current_setting('max_prepared_transactions') = '0' and pg_notification_queue_usage() < 0.5
$$;

CREATE FUNCTION lshookd.ml_backend_webhooks(ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    -- Of all, both tables are read once.
    if ids is null then
        return query
        select distinct webhook.id::bigint
        from public.ml_mlbackend as backend
        join public.webhook as webhook
          on webhook.project_id = backend.project_id and webhook.url::text = rtrim(backend.url::text, '/') || '/webhook';
        return;
    end if;
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint
    from public.webhook as webhook
    where webhook.id = any (ids)
      and exists (
          select
          from public.ml_mlbackend as backend
          where backend.project_id = webhook.project_id
            and rtrim(backend.url::text, '/') || '/webhook' = webhook.url::text
      );
exception when others then
    return;
end
$$;

CREATE FUNCTION lshookd.organizations_of(project bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select organization.id::bigint
    from public.organization as organization
    where project is null
       or organization.id = (
           select owned.organization_id from public.project as owned where owned.id = project
       )
    order by organization.id;
end
$$;

CREATE FUNCTION lshookd.parent_of(relation text, "row" jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case relation
               when 'user' then "row" ->> 'active_organization_id'
               when 'label' then "row" ->> 'organization_id'
               else "row" ->> 'task_id'
           end::bigint
$$;

CREATE FUNCTION lshookd.part_counts(projects bigint[], parts bigint[]) RETURNS TABLE(id bigint, part bigint, task_number bigint, finished_task_number bigint, total_annotations_number bigint, num_tasks_with_annotations bigint, useful_annotation_number bigint, ground_truth_number bigint, skipped_annotations_number bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    with wanted as materialized (
        select * from unnest(projects, parts) as listed (project, part)
    ),
    part as materialized (
        select distinct wanted.part as number from wanted
    )
    select wanted.project,
           wanted.part,
           coalesce(tasks.total, 0),
           coalesce(tasks.finished, 0),
           coalesce(annotations.valid, 0),
           coalesce(annotations.tasks, 0),
           coalesce(annotations.useful, 0),
           coalesce(annotations.truths, 0),
           coalesce(annotations.skips, 0)
    from wanted
    left join (
        select task.project,
               task.part,
               count(*) as total,
               count(*) filter (where task.finished) as finished
        from (select false as is_labeled) as absent
        cross join lateral (
            select part.number as part,
                   of_part.project_id as project,
                   is_labeled as finished
            from part
            cross join lateral (
                select *
                from public.task as of_part
                where of_part.id >= part.number << 7
                  and of_part.id < (part.number + 1) << 7
                offset 0
            ) as of_part
        ) as task
        group by task.project, task.part
    ) as tasks on tasks.project = wanted.project and tasks.part = wanted.part
    left join (
        select by_task.project,
               by_task.part,
               sum(by_task.valid)::bigint as valid,
               count(*) filter (where by_task.useful > 0) as tasks,
               sum(by_task.useful)::bigint as useful,
               sum(by_task.truths)::bigint as truths,
               sum(by_task.skips)::bigint as skips
        from (
            select annotation.project,
                   annotation.part,
                   count(*) filter (where not annotation.skipped) as valid,
                   count(*) filter (where annotation.useful) as useful,
                   count(*) filter (where annotation.truth) as truths,
                   count(*) filter (where annotation.skipped) as skips
            from (select false as was_cancelled, false as ground_truth, '' as result) as absent
            cross join lateral (
                select part.number as part,
                       of_part.project_id as project,
                       task_id,
                       was_cancelled as skipped,
                       ground_truth as truth,
                       not was_cancelled and not ground_truth and result is not null as useful
                from part
                cross join lateral (
                    select *
                    from public.task_completion as of_tasks
                    where of_tasks.task_id >= part.number << 7
                      and of_tasks.task_id < (part.number + 1) << 7
                    union all
                    select *
                    from public.task_completion as of_none
                    where part.number = -1
                      and of_none.task_id is null
                ) as of_part
            ) as annotation
            group by annotation.project, annotation.part, annotation.task_id
        ) as by_task
        group by by_task.project, by_task.part
    ) as annotations on annotations.project = wanted.project and annotations.part = wanted.part;
end
$$;

CREATE FUNCTION lshookd.payload_of(relation text, source name, "row" json) RETURNS json
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION lshookd.prediction_counts(ids bigint[]) RETURNS TABLE(id bigint, predictions bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    if exists (
        select
        from pg_attribute
        where attrelid = 'public.prediction'::regclass and attname = 'project_id' and not attisdropped
    ) then
        return query
        select prediction.project_id::bigint, count(*)
        from public.prediction as prediction
        where prediction.project_id = any (ids)
        group by prediction.project_id;
    else
        return query
        select task.project_id::bigint, count(*)
        from public.prediction as prediction
        join public.task as task on task.id = prediction.task_id
        where task.project_id = any (ids)
        group by task.project_id;
    end if;
end
$$;

CREATE FUNCTION lshookd.project_counts(ids bigint[]) RETURNS TABLE(id bigint, task_number bigint, finished_task_number bigint, total_annotations_number bigint, num_tasks_with_annotations bigint, useful_annotation_number bigint, ground_truth_number bigint, skipped_annotations_number bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select wanted.id,
           tasks.total,
           tasks.finished,
           annotations.valid,
           annotations.tasks,
           annotations.useful,
           annotations.truths,
           annotations.skips
    from unnest(ids) as wanted (id)
    cross join lateral (
        select count(*) as total,
               count(*) filter (where task.finished) as finished
        from (select false as is_labeled) as absent
        cross join lateral (
            select is_labeled as finished from public.task as task where task.project_id = wanted.id
        ) as task
    ) as tasks
    cross join lateral (
        select coalesce(sum(by_task.valid), 0)::bigint as valid,
               count(*) filter (where by_task.useful > 0) as tasks,
               coalesce(sum(by_task.useful), 0)::bigint as useful,
               coalesce(sum(by_task.truths), 0)::bigint as truths,
               coalesce(sum(by_task.skips), 0)::bigint as skips
        from (
            -- By task: that is how the tasks with annotations are counted the fastest.
            select count(*) filter (where not annotation.skipped) as valid,
                   count(*) filter (where annotation.useful) as useful,
                   count(*) filter (where annotation.truth) as truths,
                   count(*) filter (where annotation.skipped) as skips
            from (select false as was_cancelled, false as ground_truth, '' as result) as absent
            cross join lateral (
                select task_id,
                       was_cancelled as skipped,
                       ground_truth as truth,
                       not was_cancelled and not ground_truth and result is not null as useful
                from public.task_completion as annotation
                where annotation.project_id = wanted.id
            ) as annotation
            group by annotation.task_id
        ) as by_task
    ) as annotations;
end
$$;

CREATE FUNCTION lshookd.project_of(relation text, "row" jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case
               when relation in ('user', 'label') then 0
               when relation = 'project' then ("row" ->> 'id')::bigint
               else ("row" ->> 'project_id')::bigint
           end
$$;

CREATE FUNCTION lshookd.project_organizations(ids bigint[]) RETURNS TABLE(id bigint, organization_id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select project.id::bigint, project.organization_id::bigint
    from public.project as project
    where project.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.project_part_counts(ids bigint[]) RETURNS TABLE(id bigint, part bigint, task_number bigint, finished_task_number bigint, total_annotations_number bigint, num_tasks_with_annotations bigint, useful_annotation_number bigint, ground_truth_number bigint, skipped_annotations_number bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select wanted.id,
           counted.part_number,
           counted.total,
           counted.finished,
           counted.valid,
           counted.tasks,
           counted.useful,
           counted.truths,
           counted.skips
    from unnest(ids) as wanted (id)
    cross join lateral (
        select part_number,
               coalesce(tasks.total, 0) as total,
               coalesce(tasks.finished, 0) as finished,
               coalesce(annotations.valid, 0) as valid,
               coalesce(annotations.tasks, 0) as tasks,
               coalesce(annotations.useful, 0) as useful,
               coalesce(annotations.truths, 0) as truths,
               coalesce(annotations.skips, 0) as skips
        from (
            select task.part_number,
                   count(*) as total,
                   count(*) filter (where task.finished) as finished
            from (select false as is_labeled) as absent
            cross join lateral (
                select of_project.id::bigint >> 7 as part_number, is_labeled as finished
                from public.task as of_project
                where of_project.project_id = wanted.id
            ) as task
            group by task.part_number
        ) as tasks
        full join (
            select coalesce(by_task.task_id >> 7, -1) as part_number,
                   sum(by_task.valid)::bigint as valid,
                   count(*) filter (where by_task.useful > 0) as tasks,
                   sum(by_task.useful)::bigint as useful,
                   sum(by_task.truths)::bigint as truths,
                   sum(by_task.skips)::bigint as skips
            from (
                select annotation.task_id::bigint,
                       count(*) filter (where not annotation.skipped) as valid,
                       count(*) filter (where annotation.useful) as useful,
                       count(*) filter (where annotation.truth) as truths,
                       count(*) filter (where annotation.skipped) as skips
                from (select false as was_cancelled, false as ground_truth, '' as result) as absent
                cross join lateral (
                    select task_id,
                           was_cancelled as skipped,
                           ground_truth as truth,
                           not was_cancelled and not ground_truth and result is not null as useful
                    from public.task_completion as of_project
                    where of_project.project_id = wanted.id
                ) as annotation
                group by annotation.task_id
            ) as by_task
            group by coalesce(by_task.task_id >> 7, -1)
        ) as annotations using (part_number)
    ) as counted;
end
$$;

CREATE FUNCTION lshookd.project_rows(ids bigint[]) RETURNS TABLE(id bigint, organization_id bigint, "row" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select project.id::bigint, project.organization_id::bigint, row_to_json(project)::text
    from public.project as project
    where project.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.replay(deliveries bigint[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with replayed as (
        update lshookd.delivery
        set state = 'pending',
            ended_at = null,
            schedule_from = attempts
        where id = any (deliveries)
          and state <> 'pending'
        returning webhook_id, project_id
    ),
    due as (
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => false)
        from replayed
    )
    select count(replayed) from replayed right join due on true
$$;

CREATE FUNCTION lshookd.requeue_set_aside() RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select lshookd.wake();
    with set_aside as (
        delete from lshookd.change_set_aside
        returning *
    ),
    placed as (
        select set_aside.*,
               row_number() over (partition by seq order by set_aside_id) = 1
                   and not exists (select from lshookd.change where change.seq = set_aside.seq) as in_place
        from set_aside
    ),
    requeued as (
        insert into lshookd.change
            (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
             by_label_studio, columns, became_true, became_false, status)
        overriding system value
        select case when in_place then seq else nextval('lshookd.change_seq_seq') end,
               xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
               by_label_studio, columns, became_true, became_false, status
        from placed
        returning seq
    ),
    oldest as (
        select min(seq) as seq, count(*) as quantity
        from requeued
    )
    -- The planner reads from there on again.
    select quantity
    from oldest
    where quantity = 0
       or setval('lshookd.change_floor', least(seq, (select coalesce(pg_sequence_last_value('lshookd.change_floor'), 0)))) >= 0
$$;

CREATE FUNCTION lshookd.retry(deliveries bigint[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with retried as (
        select webhook_id, project_id
        from lshookd.delivery
        where id = any (deliveries)
          and state = 'pending'
    ),
    due as (
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => true)
        from retried
    )
    select count(retried) from retried right join due on true
$$;

CREATE FUNCTION lshookd.rotate_secret(webhook_id bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    fresh text;
begin
    update lshookd.secret
    set expires_at = clock_timestamp() + interval '1 day'
    where secret.webhook_id = rotate_secret.webhook_id and expires_at is null;
    insert into lshookd.secret (webhook_id) values (rotate_secret.webhook_id)
    returning secret into fresh;
    return fresh;
end
$$;

CREATE FUNCTION lshookd.set_aside_objects(changes bigint[], relations text[], objects bigint[], reason text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    waiting lshookd.change;
    number  bigint := 0;
begin
    for waiting in
        select change.*
        from lshookd.change
        where change.seq = any (changes)
          and change.relation = any (relations)
          and change.ids && objects
        order by change.seq
        for update
    loop
        number := number + 1;
        insert into lshookd.change_set_aside
            (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
             by_label_studio, columns, became_true, became_false, status, reason)
        select waiting.seq, waiting.xid, waiting.backend, waiting.session, waiting.captured_at, waiting.relation,
               waiting.operation, waiting.project_id, array_agg(object.id order by object.place),
               case when waiting.parents is not null then array_agg(object.parent order by object.place) end,
               waiting.moved, waiting.bulk, waiting.by_label_studio, waiting.columns, waiting.became_true,
               waiting.became_false, waiting.status, left(set_aside_objects.reason, 2000)
        from unnest(waiting.ids, waiting.parents) with ordinality as object (id, parent, place)
        where object.id = any (objects);
        update lshookd.change
        set ids = rest.ids,
            parents = case when change.parents is not null then rest.parents end
        from (
            select array_agg(object.id order by object.place) as ids, array_agg(object.parent order by object.place) as parents
            from unnest(waiting.ids, waiting.parents) with ordinality as object (id, parent, place)
            where object.id <> all (objects)
        ) as rest
        where change.seq = waiting.seq and rest.ids is not null;
        if not found then
            delete from lshookd.change where change.seq = waiting.seq;
        end if;
    end loop;
    return number;
end
$$;

CREATE FUNCTION lshookd.set_webhooks_active(ids bigint[], active boolean) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    update public.webhook as webhook
    set is_active = active,
        updated_at = clock_timestamp()
    where webhook.id = any (ids)
    returning webhook.id::bigint;
end
$$;

CREATE FUNCTION lshookd.skip(deliveries bigint[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with skippable as (
        select id, state
        from lshookd.delivery
        where id = any (deliveries)
          and state in ('pending', 'dead')
        order by id
        for update
    ),
    skipped as (
        update lshookd.delivery
        set state = 'skipped',
            ended_at = clock_timestamp()
        from skippable
        where delivery.id = skippable.id
        returning delivery.webhook_id, delivery.project_id, skippable.state
    ),
    due as (
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => true)
        from skipped
        where state = 'pending'
    )
    select count(skipped) from skipped right join due on true
$$;

CREATE FUNCTION lshookd.storage_in_progress(task bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $_$
declare
    kind             record;
    status           text;
    found_in_storage boolean;
begin
    if task is null then
        return null;
    end if;
    for kind in
        select storages.oid::regclass as storages,
               storage_key.attname as storage_key,
               links.oid::regclass as links,
               link_storage.attname as link_storage,
               link_task.attname as link_task
        from pg_constraint as to_task
        join pg_class as links on links.oid = to_task.conrelid
        join pg_attribute as link_task on link_task.attrelid = links.oid and array[link_task.attnum] = to_task.conkey
        join pg_constraint as to_storage on to_storage.conrelid = links.oid and to_storage.contype = 'f'
        join pg_class as storages on storages.oid = to_storage.confrelid
        join pg_attribute as link_storage
          on link_storage.attrelid = links.oid and array[link_storage.attnum] = to_storage.conkey
        join pg_attribute as storage_key
          on storage_key.attrelid = storages.oid and array[storage_key.attnum] = to_storage.confkey
        where to_task.contype = 'f'
          and to_task.confrelid = 'public.task'::regclass
          and links.relname = storages.relname || 'link'
          and storages.relname like '%importstorage'
    loop
        begin
            -- Older versions of Label Studio have no status.
            if exists (
                select
                from pg_attribute
                where attrelid = kind.storages and attname = 'status' and not attisdropped
            ) then
                execute format(
                    'select true, storage.status from %s as link join %s as storage on storage.%I = link.%I '
                    'where link.%I = $1',
                    kind.links, kind.storages, kind.storage_key, kind.link_storage, kind.link_task
                ) into found_in_storage, status using task;
            else
                execute format('select true from %s as link where link.%I = $1', kind.links, kind.link_task)
                into found_in_storage using task;
            end if;
        exception when others then
            continue; -- A kind of storage that cannot be looked at tells nothing.
        end;
        if found_in_storage then
            return coalesce(status = 'in_progress', false);
        end if;
    end loop;
    return null;
end
$_$;

CREATE FUNCTION lshookd.tables_of(relation text) RETURNS SETOF regclass
    LANGUAGE sql STABLE ROWS 2
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select class.oid::regclass
    from lshookd.label_studio as studio
    join pg_class as class on class.relnamespace = studio.oid and class.relkind in ('r', 'p')
    where case relation
              when 'project' then class.relname = 'project'
              when 'task' then class.relname = 'task'
              when 'annotation' then class.relname = 'task_completion'
              when 'label_link' then class.relname = 'labels_manager_labellink'
              when 'prediction' then class.relname = 'prediction'
              when 'draft' then class.relname = 'tasks_annotationdraft'
              when 'label' then class.relname = 'labels_manager_label'
              when 'user' then class.relname = 'htx_user'
              when 'storage' then class.relname like 'io\_storages\_%storage' and exists (
                  select
                  from pg_attribute as attribute
                  where attribute.attrelid = class.oid
                    and attribute.attname = 'status'
                    and not attribute.attisdropped
              )
          end
$$;

CREATE FUNCTION lshookd.task_projects(ids bigint[]) RETURNS TABLE(id bigint, project_id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select task.id::bigint, task.project_id::bigint
    from public.task as task
    where task.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.task_rows(ids bigint[]) RETURNS TABLE(id bigint, project_id bigint, "row" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select task.id::bigint, task.project_id::bigint, row_to_json(task)::text
    from public.task as task
    where task.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.unplanned(OUT newest bigint, OUT keep_all boolean, OUT ids_alone boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if current_setting('transaction_isolation') = 'read committed' then
        newest := (select seq from lshookd.waiting_change order by seq desc limit 1);
        keep_all := newest - (select seq from lshookd.waiting_change order by seq limit 1) > 1000;
    else
        newest := pg_sequence_last_value('lshookd.change_seq_seq');
        keep_all := true;
    end if;
    ids_alone := newest is not null and pg_relation_size('lshookd.deleted_row') > 1000000000;
end
$$;

CREATE FUNCTION lshookd.update_webhook(webhook bigint, url text, headers jsonb, send_payload boolean, every_action boolean, chosen text[], active boolean) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    update public.webhook as changed
    set url = coalesce(update_webhook.url, changed.url),
        headers = coalesce(update_webhook.headers, changed.headers::jsonb),
        send_payload = coalesce(update_webhook.send_payload, changed.send_payload),
        send_for_all_actions = coalesce(every_action, chosen is null and changed.send_for_all_actions),
        is_active = coalesce(active, changed.is_active),
        updated_at = clock_timestamp()
    where changed.id = update_webhook.webhook;
    if not found then
        return false;
    end if;
    if every_action or chosen is not null then
        delete from public.webhook_action as webhook_action
        where webhook_action.webhook_id = update_webhook.webhook;
        insert into public.webhook_action (webhook_id, action)
        select update_webhook.webhook, given.action
        from unnest(chosen) as given (action);
    end if;
    return true;
end
$$;

CREATE FUNCTION lshookd.user_organizations(ids bigint[]) RETURNS TABLE(user_id bigint, organization_id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    select given.id,
           coalesce(
               (
                   select min(member.organization_id)
                   from public.organizations_organizationmember as member
                   where member.user_id = given.id
               ),
               (select min(organization.id) from public.organization as organization having count(*) = 1)
           )::bigint
    from unnest(ids) as given (id);
end
$$;

CREATE FUNCTION lshookd.wake() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not pg_try_advisory_xact_lock_shared(1819503723, 0) and lshookd.may_notify() then
        perform pg_notify('lshookd', '');
    end if;
end
$$;

CREATE FUNCTION lshookd.wake_lanes(webhooks bigint[]) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with waiting as materialized (
        select webhook_id, project_id
        from lshookd.lane
        where due_at < 'infinity'
          and (webhooks is null or webhook_id = any (webhooks))
        order by webhook_id, project_id
        for update
    )
    update lshookd.lane
    set due_at = clock_timestamp()
    from waiting
    where lane.webhook_id = waiting.webhook_id
      and lane.project_id = waiting.project_id;
    select lshookd.announce_lanes()
$$;

CREATE FUNCTION lshookd.watch_after_choice() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform lshookd.watch_as_wanted();
    return null;
end
$$;

CREATE FUNCTION lshookd.watch_as_wanted() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '4s'
    SET jit TO 'off'
    AS $$
declare
    wanted   record;
    unwanted record;
begin
    -- One at a time: two would create the same function.
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
        select watch.*, template.prosrc as body, template.proowner as owner, watcher.name is not null as is_there
        from lshookd.watch
        join pg_proc as template
            on template.pronamespace = 'lshookd'::regnamespace
            and template.proname = 'watch_' || watch.operation
        left join lshookd.watcher on watcher.name = watch.name
        order by watch.name
    loop
        execute format(
            'create or replace function lshookd.%I() returns trigger language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp as %L',
            wanted.name, wanted.body
        );
        execute format('revoke all on function lshookd.%I() from public', wanted.name);
        if not wanted.is_there then
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
        end if;
        if wanted.owner <> (select proowner from pg_proc where oid = format('lshookd.%I', wanted.name)::regproc) then
            -- To own a function takes the right to create one only while it is given.
            execute format('grant create on schema lshookd to %I', pg_get_userbyid(wanted.owner));
            execute format('alter function lshookd.%I() owner to %I', wanted.name, pg_get_userbyid(wanted.owner));
            execute format('revoke create on schema lshookd from %I', pg_get_userbyid(wanted.owner));
        end if;
    end loop;
end
$$;

CREATE FUNCTION lshookd.watch_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], sight."row") as project_id,
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
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, newest.seq,
           lshookd.payload_of(tg_argv[0], tg_table_name, sight."row")
    from (select row_to_json(removed) as "row" from removed) as sight
    cross join (select pg_sequence_last_value('lshookd.change_seq_seq') as seq) as newest
    where newest.seq is not null;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.watch_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], sight."row") as project_id,
               lshookd.parent_of(tg_argv[0], sight."row") as parent,
               array(
                   select flag
                   from unnest(
                       case tg_argv[0]
                           when 'annotation' then array['ground_truth', 'was_cancelled']
                           when 'task' then array['is_labeled']
                       end
                   ) as flag
                   where sight."row" -> flag = 'true'
               ) as became_true,
               row_number() over () / 500 as portion
        from added
        cross join lateral to_jsonb(added) as sight ("row")
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, became_true)
    select 'watched_' || tg_argv[0], 'insert', project_id, array_agg(id order by id), array_agg(parent order by id), became_true
    from seen
    where not lshookd.is_read(tg_argv[0]) or became_true <> '{}'
    group by project_id, became_true, portion
    order by portion;
    if not found then
        return null;
    end if;
    if not lshookd.is_read(tg_argv[0]) then
        insert into lshookd.watched_row (relation, id, up_to, after)
        select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, pg_sequence_last_value('lshookd.change_seq_seq'),
               lshookd.payload_of(tg_argv[0], tg_table_name, sight."row")
        from (select row_to_json(added) as "row" from added) as sight;
    end if;
    perform lshookd.wake();
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.watch_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    previous boolean := exists (select from lshookd.payload_option where payload_option.previous);
begin
    with seen as materialized (
        select (after."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], after."row") as project_id,
               lshookd.parent_of(tg_argv[0], after."row") as parent,
               difference.*,
               row_number() over () / 500 as portion
        from (select to_jsonb(removed) as "row" from removed) as before
        full join (select to_jsonb(added) as "row" from added) as after
            on after."row" -> tg_argv[1] = before."row" -> tg_argv[1]
        cross join lateral lshookd.differences(tg_argv[0], before."row", after."row") as difference
        where difference.columns is not null
          and (tg_argv[0] <> 'storage' or difference.status is not null)
          and (tg_argv[0] <> 'annotation' or difference.columns && array['ground_truth', 'was_cancelled'])
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, columns, became_true, became_false, status)
    select 'watched_' || tg_argv[0], 'update', project_id, array_agg(id order by id), array_agg(parent order by id),
           columns, became_true, became_false, status
    from seen
    where tg_argv[0] not in ('project', 'label_link')
    group by project_id, columns, became_true, became_false, status, portion
    order by portion;
    if found then
        perform lshookd.wake();
    end if;
    -- Also of what Label Studio has an action for, whose change is in the queue by now.
    if previous or not lshookd.is_read(tg_argv[0]) then
        insert into lshookd.watched_row (relation, id, up_to, before, after)
        select tg_argv[0], (coalesce(after."row", before."row") ->> tg_argv[1])::bigint, newest.seq,
               case when previous then lshookd.payload_of(tg_argv[0], tg_table_name, before."row") end,
               case when not lshookd.is_read(tg_argv[0]) then lshookd.payload_of(tg_argv[0], tg_table_name, after."row") end
        from (select row_to_json(removed) as "row" from removed) as before
        full join (select row_to_json(added) as "row" from added) as after
            on after."row" ->> tg_argv[1] = before."row" ->> tg_argv[1]
        cross join (select pg_sequence_last_value('lshookd.change_seq_seq') as seq) as newest
        where newest.seq is not null;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

CREATE FUNCTION lshookd.webhook_ids(ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint
    from public.webhook as webhook
    where webhook.id = any (coalesce(ids, array(select every.id::bigint from public.webhook as every)));
end
$$;

CREATE FUNCTION lshookd.webhook_objects(kind text, webhook_id bigint, only_project bigint, after_id bigint, maximum bigint, newest_first boolean) RETURNS TABLE(project_id bigint, id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query
    with concerned as (
        select project.id
        from public.webhook as webhook
        join public.project as project on project.id = webhook.project_id
            or (webhook.project_id is null and project.organization_id = webhook.organization_id)
        where webhook.id = webhook_objects.webhook_id
          and (only_project is null or project.id = only_project)
    ),
    object (project_id, id) as (
        select concerned.id::bigint, concerned.id::bigint
        from concerned
        where kind = 'project' and concerned.id > after_id
        union all
        select task.project_id::bigint, task.id::bigint
        from public.task as task
        where kind = 'task' and task.id > after_id and task.project_id in (select concerned.id from concerned)
        union all
        select task.project_id::bigint, annotation.id::bigint
        from public.task_completion as annotation
        join public.task as task on task.id = annotation.task_id
        where kind = 'annotation'
          and annotation.id > after_id
          and task.project_id in (select concerned.id from concerned)
        union all
        select link.project_id::bigint, link.id::bigint
        from public.labels_manager_labellink as link
        where kind = 'label_link' and link.id > after_id and link.project_id in (select concerned.id from concerned)
    )
    select object.project_id, object.id
    from object
    order by case when newest_first then -object.id else object.id end
    limit maximum;
end
$$;

CREATE FUNCTION lshookd.webhook_rows(ids bigint[]) RETURNS TABLE(id bigint, organization_id bigint, project_id bigint, url text, headers jsonb, send_payload boolean, send_for_all_actions boolean, is_active boolean, actions text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    -- Of all, both tables are read once.
    if ids is null then
        return query
        select webhook.id::bigint,
               webhook.organization_id::bigint,
               webhook.project_id::bigint,
               webhook.url::text,
               webhook.headers::jsonb,
               webhook.send_payload,
               webhook.send_for_all_actions,
               webhook.is_active,
               coalesce(chosen.actions, '{}')
        from public.webhook as webhook
        left join (
            select webhook_action.webhook_id, array_agg(webhook_action.action::text order by webhook_action.action) as actions
            from public.webhook_action as webhook_action
            group by webhook_action.webhook_id
        ) as chosen on chosen.webhook_id = webhook.id;
        return;
    end if;
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint,
           webhook.organization_id::bigint,
           webhook.project_id::bigint,
           webhook.url::text,
           webhook.headers::jsonb,
           webhook.send_payload,
           webhook.send_for_all_actions,
           webhook.is_active,
           array(
               select webhook_action.action::text
               from public.webhook_action as webhook_action
               where webhook_action.webhook_id = webhook.id
               order by webhook_action.action
           )
    from public.webhook as webhook
    where webhook.id = any (ids);
end
$$;

CREATE FUNCTION lshookd.webhook_states() RETURNS TABLE(id bigint, is_active boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    return query select webhook.id::bigint, webhook.is_active from public.webhook as webhook;
end
$$;

CREATE FUNCTION lshookd.webhooks_of(projects bigint[], organizations bigint[]) RETURNS TABLE(id bigint, organization_id bigint, project_id bigint, send_payload boolean, send_for_all_actions boolean, is_active boolean, actions text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $$
begin
    -- Two questions, for each of which there is an index.
    return query
    select webhook.id::bigint,
           webhook.organization_id::bigint,
           webhook.project_id::bigint,
           webhook.send_payload,
           webhook.send_for_all_actions,
           webhook.is_active,
           array(
               select webhook_action.action::text
               from public.webhook_action as webhook_action
               where webhook_action.webhook_id = webhook.id
           )
    from (
        select * from public.webhook as of_project where of_project.project_id = any (projects)
        union all
        select *
        from public.webhook as of_organization
        where of_organization.project_id is null
          and of_organization.organization_id = any (organizations)
    ) as webhook;
end
$$;

CREATE TABLE lshookd.active_role (
    role text NOT NULL,
    holder uuid NOT NULL,
    backend integer DEFAULT pg_backend_pid() NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    beat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT active_role_role_check CHECK ((role = ANY (ARRAY['planner'::text, 'deliverer'::text, 'retention'::text])))
)
WITH (fillfactor='50');

COMMENT ON TABLE lshookd.active_role IS 'Which daemon is active in which role, and its latest heartbeat.';

CREATE TABLE lshookd.additional_action (
    name text NOT NULL
);

COMMENT ON TABLE lshookd.additional_action IS 'The actions that lshookd has beyond Label Studio''s.';

CREATE TABLE lshookd.adoption (
    webhook_id bigint NOT NULL,
    adopted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    adopted_snapshot pg_snapshot DEFAULT pg_current_snapshot() NOT NULL,
    adopted_in_flight xid8[] DEFAULT '{}'::xid8[] NOT NULL,
    released_at timestamp with time zone,
    released_snapshot pg_snapshot,
    released_in_flight xid8[]
);

COMMENT ON TABLE lshookd.adoption IS 'Webhooks that lshookd delivers in Label Studio''s place, or did until released_at.';

CREATE TABLE lshookd.attempt (
    delivery_id bigint NOT NULL,
    number integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer NOT NULL,
    status smallint,
    error text,
    response_head text,
    address inet,
    protocol text,
    dns_ms integer,
    tcp_ms integer,
    tls_ms integer,
    answer_ms integer
);

COMMENT ON TABLE lshookd.attempt IS 'Every attempt of every delivery: when, how long, what the endpoint answered.';

CREATE TABLE lshookd.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    who text NOT NULL,
    way text NOT NULL,
    what text NOT NULL,
    subject text NOT NULL,
    detail text,
    failure text,
    CONSTRAINT audit_way_check CHECK ((way = ANY (ARRAY['console'::text, 'command'::text])))
);

COMMENT ON TABLE lshookd.audit IS 'What people changed by the console and by commands: who, when, and whether it was done.';

ALTER TABLE lshookd.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.backfill (
    id bigint NOT NULL,
    webhook_id bigint NOT NULL,
    action text NOT NULL,
    project_id bigint,
    after_id bigint DEFAULT 0 NOT NULL,
    announced bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone
);

COMMENT ON TABLE lshookd.backfill IS 'Runs of "lshookd event backfill", and how far each has come.';

ALTER TABLE lshookd.backfill ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.backfill_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.capture_error (
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    relation text NOT NULL,
    operation text NOT NULL,
    message text NOT NULL
)
WITH (vacuum_truncate='false');

ALTER TABLE ONLY lshookd.capture_error REPLICA IDENTITY FULL;

COMMENT ON TABLE lshookd.capture_error IS 'Changes that could not be captured, and why. Label Studio''s own writes went through.';

CREATE TABLE lshookd.change (
    seq bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    backend integer DEFAULT pg_backend_pid() NOT NULL,
    session text DEFAULT "left"(COALESCE(NULLIF(current_setting('lshookd.session'::text, true), ''::text), set_config('lshookd.session'::text, (pg_current_xact_id())::text, false)), 20) NOT NULL,
    captured_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    relation text NOT NULL,
    operation text NOT NULL,
    project_id bigint,
    ids bigint[] NOT NULL,
    parents bigint[],
    moved boolean DEFAULT false NOT NULL,
    bulk boolean DEFAULT false NOT NULL,
    by_label_studio boolean DEFAULT false NOT NULL,
    columns text[],
    became_true text[],
    became_false text[],
    status text
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='10000', vacuum_truncate='false');

COMMENT ON TABLE lshookd.change IS 'Changes of Label Studio''s tables that lshookd has not turned into events yet.';

CREATE SEQUENCE lshookd.change_floor
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

COMMENT ON SEQUENCE lshookd.change_floor IS 'No change of a lower number waits to be planned.';

ALTER TABLE lshookd.change ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.change_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.change_set_aside (
    set_aside_id bigint NOT NULL,
    seq bigint NOT NULL,
    xid xid8 NOT NULL,
    backend integer NOT NULL,
    session text NOT NULL,
    captured_at timestamp with time zone NOT NULL,
    relation text NOT NULL,
    operation text NOT NULL,
    project_id bigint,
    ids bigint[] NOT NULL,
    parents bigint[],
    moved boolean NOT NULL,
    bulk boolean NOT NULL,
    by_label_studio boolean NOT NULL,
    columns text[],
    became_true text[],
    became_false text[],
    status text,
    set_aside_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reason text NOT NULL
);

COMMENT ON TABLE lshookd.change_set_aside IS 'Changes that could not be made into events, and why. When the cause is fixed: select lshookd.requeue_set_aside().';

ALTER TABLE lshookd.change_set_aside ALTER COLUMN set_aside_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.change_set_aside_set_aside_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.chosen_action (
    webhook_id bigint NOT NULL,
    action text NOT NULL
);

COMMENT ON TABLE lshookd.chosen_action IS 'Which webhooks receive which additional actions.';

CREATE TABLE lshookd.client (
    role text NOT NULL,
    address text NOT NULL,
    application text NOT NULL,
    closed integer DEFAULT 0 NOT NULL,
    lived_on integer DEFAULT 0 NOT NULL
);

COMMENT ON TABLE lshookd.client IS 'How often connections of a client were closed after their work, and how often they lived on.';

CREATE TABLE lshookd.completed_project (
    project_id bigint NOT NULL,
    completed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE lshookd.completed_project IS 'Projects whose completion was announced, until a task is added or reopened.';

CREATE TABLE lshookd.daemon_fault (
    holder uuid NOT NULL,
    fault text NOT NULL,
    message text NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE lshookd.daemon_fault IS 'What of running daemons does not work, and why.';

CREATE TABLE lshookd.daemon_setting (
    holder uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    origin text NOT NULL
);

COMMENT ON TABLE lshookd.daemon_setting IS 'The settings that running daemons use, and where each came from.';

CREATE TABLE lshookd.delivery (
    id bigint NOT NULL,
    message_id uuid DEFAULT (encode(set_bit(set_bit(OVERLAY(uuid_send(gen_random_uuid()) PLACING SUBSTRING(int8send(((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint) FROM 3) FROM 1 FOR 6), (52)::bigint, 1), (53)::bigint, 1), 'hex'::text))::uuid NOT NULL,
    event_id bigint NOT NULL,
    webhook_id bigint NOT NULL,
    project_id bigint NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    schedule_from integer DEFAULT 0 NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text, 'cancelled'::text, 'skipped'::text])))
)
WITH (fillfactor='85');

COMMENT ON TABLE lshookd.delivery IS 'What each webhook is owed: pending, delivered, dead (no further attempts, kept for a person to see), cancelled (the webhook is deleted) or skipped (by an operator).';

CREATE TABLE lshookd.event (
    id bigint NOT NULL,
    action text NOT NULL,
    project_id bigint NOT NULL,
    object_count integer NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    planned_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_by text,
    tap_only boolean DEFAULT false NOT NULL,
    body text,
    CONSTRAINT event_ended_by_check CHECK ((ended_by = ANY (ARRAY['closed'::text, 'idle'::text, 'limit'::text, 'none'::text])))
);
ALTER TABLE ONLY lshookd.event ALTER COLUMN body SET COMPRESSION lz4;

COMMENT ON TABLE lshookd.event IS 'Label Studio''s webhook events, with the JSON body that endpoints receive.';

COMMENT ON COLUMN lshookd.event.tap_only IS 'Stored for "lshookd event listen" alone; deleted after an hour.';

CREATE VIEW lshookd.dead_letter AS
 SELECT delivery.id,
    delivery.message_id,
    delivery.webhook_id,
    delivery.project_id,
    event.action,
    event.object_count,
    event.occurred_at,
    delivery.attempts,
    delivery.ended_at AS dead_since,
    attempt.status AS last_status,
    attempt.error AS last_error
   FROM ((lshookd.delivery
     JOIN lshookd.event ON ((event.id = delivery.event_id)))
     LEFT JOIN lshookd.attempt ON (((attempt.delivery_id = delivery.id) AND (attempt.number = delivery.attempts))))
  WHERE (delivery.state = 'dead'::text);

COMMENT ON VIEW lshookd.dead_letter IS 'One row per delivery without further attempts: select lshookd.replay(array[id]) replays it.';

CREATE TABLE lshookd.deleted_row (
    relation text NOT NULL,
    id bigint NOT NULL,
    up_to bigint NOT NULL,
    image json
);

ALTER TABLE ONLY lshookd.deleted_row REPLICA IDENTITY FULL;

COMMENT ON TABLE lshookd.deleted_row IS 'Deleted rows that are still to be announced, or that what is to be announced belongs to.';

ALTER TABLE lshookd.delivery ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.delivery_option (
    webhook_id bigint NOT NULL,
    connect_timeout interval,
    answer_timeout interval,
    await_answer boolean DEFAULT true NOT NULL,
    retry_schedule interval[],
    maximum_age interval,
    rate_limit double precision,
    concurrency integer,
    proxy text,
    pause_after interval,
    CONSTRAINT delivery_option_answer_timeout_check CHECK ((answer_timeout > '00:00:00'::interval)),
    CONSTRAINT delivery_option_concurrency_check CHECK ((concurrency > 0)),
    CONSTRAINT delivery_option_connect_timeout_check CHECK ((connect_timeout > '00:00:00'::interval)),
    CONSTRAINT delivery_option_maximum_age_check CHECK ((maximum_age > '00:00:00'::interval)),
    CONSTRAINT delivery_option_pause_after_check CHECK ((pause_after >= '00:00:00'::interval)),
    CONSTRAINT delivery_option_proxy_check CHECK (((proxy = 'direct'::text) OR (proxy ~~ 'http://_%'::text))),
    CONSTRAINT delivery_option_rate_limit_check CHECK ((rate_limit > (0)::double precision))
);

COMMENT ON TABLE lshookd.delivery_option IS 'How requests to a webhook are made, where it is not as the settings say: timeouts, retries, age, how many in a second and at once, the proxy, and when it is paused.';

CREATE VIEW lshookd.delivery_status AS
 SELECT counted.webhook_id,
    counted.pending,
    counted.delivered,
    counted.dead,
    counted.cancelled,
    counted.skipped,
    oldest.occurred_at AS oldest_pending_at,
    counted.last_delivered_at
   FROM (( SELECT delivery.webhook_id,
            count(*) FILTER (WHERE (delivery.state = 'pending'::text)) AS pending,
            count(*) FILTER (WHERE (delivery.state = 'delivered'::text)) AS delivered,
            count(*) FILTER (WHERE (delivery.state = 'dead'::text)) AS dead,
            count(*) FILTER (WHERE (delivery.state = 'cancelled'::text)) AS cancelled,
            count(*) FILTER (WHERE (delivery.state = 'skipped'::text)) AS skipped,
            max(delivery.ended_at) FILTER (WHERE (delivery.state = 'delivered'::text)) AS last_delivered_at
           FROM lshookd.delivery
          GROUP BY delivery.webhook_id) counted
     LEFT JOIN ( SELECT delivery.webhook_id,
            min(event.occurred_at) AS occurred_at
           FROM (lshookd.delivery
             JOIN lshookd.event ON ((event.id = delivery.event_id)))
          WHERE (delivery.state = 'pending'::text)
          GROUP BY delivery.webhook_id) oldest ON ((oldest.webhook_id = counted.webhook_id)));

COMMENT ON VIEW lshookd.delivery_status IS 'One row per webhook: how many deliveries are in which state, since when the oldest is pending (timestamps in the server''s clock).';

ALTER TABLE lshookd.event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lshookd.lane (
    webhook_id bigint NOT NULL,
    project_id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    held_until timestamp with time zone,
    holder uuid,
    ended_up_to bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE lshookd.lane IS 'The ordered queues: one per webhook and project, when each is due, and which daemon works on it.';

CREATE TABLE lshookd.lease (
    webhook_id bigint NOT NULL,
    project_id bigint NOT NULL,
    lease_id uuid NOT NULL,
    is_held boolean NOT NULL,
    consumer inet,
    first_id bigint NOT NULL,
    last_id bigint,
    leased_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone NOT NULL,
    one_by_one boolean NOT NULL,
    turn bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE lshookd.lease IS 'Which consumer has which lane of a webhook that is pulled, and until when.';

CREATE VIEW lshookd.failing_lane AS
 SELECT lane.webhook_id,
    lane.project_id,
    COALESCE(lease.leased_until, lane.due_at) AS due_at,
    failed.id AS delivery_id,
    failed.attempts,
    attempt.started_at AS last_attempt_at,
    attempt.status AS last_status,
    attempt.error AS last_error
   FROM ((((lshookd.delivery failed
     CROSS JOIN LATERAL ( SELECT first.id
           FROM lshookd.delivery first
          WHERE ((first.webhook_id = failed.webhook_id) AND (first.project_id = failed.project_id) AND (first.state = 'pending'::text))
          ORDER BY first.id
         LIMIT 1) next)
     JOIN lshookd.lane ON (((lane.webhook_id = failed.webhook_id) AND (lane.project_id = failed.project_id))))
     JOIN lshookd.attempt ON (((attempt.delivery_id = failed.id) AND (attempt.number = failed.attempts))))
     LEFT JOIN lshookd.lease ON (((lease.webhook_id = lane.webhook_id) AND (lease.project_id = lane.project_id))))
  WHERE ((failed.state = 'pending'::text) AND (failed.attempts > failed.schedule_from) AND (failed.id = next.id) AND ((lane.due_at < 'infinity'::timestamp with time zone) OR (lease.last_id IS NOT NULL)));

COMMENT ON VIEW lshookd.failing_lane IS 'One row per webhook and project whose next delivery has failed and is attempted again at due_at.';

CREATE TABLE lshookd.failing_webhook (
    webhook_id bigint NOT NULL,
    since timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    is_warned_of boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE lshookd.failing_webhook IS 'Webhooks to which nothing could be delivered, although it was tried, and since when.';

CREATE VIEW lshookd.given_delivery AS
 SELECT lease.webhook_id,
    lease.project_id,
    lease.lease_id,
    lease.leased_at,
    lease.consumer,
    delivery.id,
    delivery.message_id
   FROM (lshookd.lease
     JOIN lshookd.delivery ON (((delivery.webhook_id = lease.webhook_id) AND (delivery.project_id = lease.project_id) AND (delivery.state = 'pending'::text) AND ((delivery.id >= lease.first_id) AND (delivery.id <= lease.last_id)))))
  WHERE (lease.last_id IS NOT NULL);

COMMENT ON VIEW lshookd.given_delivery IS 'One row per delivery that a consumer was given and has not acknowledged, with the latest lease of its lane.';

CREATE VIEW lshookd.label_studio AS
 SELECT namespace.oid,
    namespace.nspname AS name
   FROM (((pg_trigger trigger
     JOIN pg_class task ON ((task.oid = trigger.tgrelid)))
     JOIN pg_namespace namespace ON ((namespace.oid = task.relnamespace)))
     JOIN pg_proc capture ON ((capture.oid = trigger.tgfoid)))
  WHERE ((trigger.tgname = 'lshookd_task_insert'::name) AND (capture.proname = 'capture_task_insert'::name) AND (capture.pronamespace = ('lshookd'::regnamespace)::oid));

COMMENT ON VIEW lshookd.label_studio IS 'The schema of Label Studio''s tables.';

CREATE TABLE lshookd.pause (
    webhook_id bigint,
    paused_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    failing_since timestamp with time zone
);

ALTER TABLE ONLY lshookd.pause REPLICA IDENTITY FULL;

COMMENT ON TABLE lshookd.pause IS 'Webhooks whose deliveries are held back until an operator resumes them; null stands for all.';

CREATE VIEW lshookd.lag AS
 SELECT ( SELECT count(*) AS count
           FROM lshookd.change) AS changes_unplanned,
    (COALESCE(( SELECT EXTRACT(epoch FROM (clock_timestamp() - min(change.captured_at))) AS "extract"
           FROM lshookd.change), (0)::numeric))::double precision AS oldest_change_seconds,
    ( SELECT count(*) AS count
           FROM lshookd.delivery
          WHERE (delivery.state = 'pending'::text)) AS deliveries_pending,
    (COALESCE(( SELECT EXTRACT(epoch FROM (clock_timestamp() - min(event.occurred_at))) AS "extract"
           FROM ((( SELECT lane_1.webhook_id,
                    lane_1.project_id,
                    lane_1.ended_up_to
                   FROM lshookd.lane lane_1
                  WHERE ((lane_1.due_at < 'infinity'::timestamp with time zone) AND (NOT (EXISTS ( SELECT
                           FROM lshookd.pause
                          WHERE ((pause.webhook_id IS NULL) OR (pause.webhook_id = lane_1.webhook_id))))))) lane
             CROSS JOIN LATERAL ( SELECT delivery.event_id
                   FROM lshookd.delivery
                  WHERE ((delivery.webhook_id = lane.webhook_id) AND (delivery.project_id = lane.project_id) AND (delivery.state = 'pending'::text) AND (delivery.schedule_from = 0) AND (delivery.id > lane.ended_up_to))
                  ORDER BY delivery.id
                 LIMIT 1) first)
             JOIN lshookd.event ON ((event.id = first.event_id)))), (0)::numeric))::double precision AS oldest_delivery_seconds;

COMMENT ON VIEW lshookd.lag IS 'One row: unplanned changes and pending deliveries, and the age of the oldest of each in seconds.';

CREATE TABLE lshookd.migration (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);

CREATE TABLE lshookd.operation (
    kind text NOT NULL,
    subject text NOT NULL,
    told_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    until timestamp with time zone,
    mark text
);

COMMENT ON TABLE lshookd.operation IS 'What operational events have told already. Empty while no webhook has chosen them.';

CREATE TABLE lshookd.payload_option (
    webhook_id bigint NOT NULL,
    enrich_deletions boolean DEFAULT false NOT NULL,
    previous boolean DEFAULT false NOT NULL,
    cloudevents text,
    CONSTRAINT payload_option_cloudevents_check CHECK ((cloudevents = ANY (ARRAY['binary'::text, 'structured'::text])))
);

COMMENT ON TABLE lshookd.payload_option IS 'How a webhook wants its events: deletions with what was deleted, updates with what was before, as CloudEvents.';

CREATE TABLE lshookd.puller (
    webhook_id bigint NOT NULL,
    token_hash bytea,
    token_set_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE lshookd.puller IS 'Webhooks whose events consumers pull, and the hash of the token that each asks for.';

CREATE UNLOGGED TABLE lshookd.recount (
    project_id bigint NOT NULL,
    parts bigint[] NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='10000', vacuum_truncate='false');

ALTER TABLE ONLY lshookd.recount REPLICA IDENTITY FULL;

COMMENT ON TABLE lshookd.recount IS 'Parts of large projects that are counted anew before the next payload shows the counts.';

CREATE TABLE lshookd.rule (
    name text NOT NULL,
    webhook_id bigint NOT NULL,
    actions text[] DEFAULT '{}'::text[] NOT NULL,
    condition text,
    on_transition boolean DEFAULT false NOT NULL,
    threshold integer,
    throttle interval,
    rename_action text,
    template text,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT rule_parameters_check CHECK ((jsonb_typeof(parameters) = 'object'::text)),
    CONSTRAINT rule_rename_action_check CHECK ((rename_action ~ '^[A-Z][A-Z0-9_]{0,99}$'::text)),
    CONSTRAINT rule_threshold_check CHECK ((threshold > 0)),
    CONSTRAINT rule_throttle_check CHECK ((throttle > '00:00:00'::interval))
);

COMMENT ON TABLE lshookd.rule IS 'Filters, conditions, thresholds and templates, by webhook. See docs/rules.md.';

CREATE TABLE lshookd.rule_state (
    rule text NOT NULL,
    project_id bigint NOT NULL,
    was_true boolean DEFAULT false NOT NULL,
    counted bigint DEFAULT 0 NOT NULL,
    passed_at timestamp with time zone,
    throttled_action text,
    throttled_body text,
    throttled_at timestamp with time zone,
    throttled_objects integer
);

COMMENT ON TABLE lshookd.rule_state IS 'What rules have counted, and the events that they throttle.';

CREATE TABLE lshookd.secret (
    webhook_id bigint NOT NULL,
    secret text DEFAULT ('whsec_'::text || encode(sha256((uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))), 'base64'::text)) NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone
);

COMMENT ON TABLE lshookd.secret IS 'The signing secrets of each webhook. One is made with the first delivery.';

CREATE TABLE lshookd.tap (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    taps_until timestamp with time zone NOT NULL
);

COMMENT ON TABLE lshookd.tap IS 'Who runs "lshookd event listen" now: events are then stored even if no webhook wants them.';

CREATE VIEW lshookd.waiting_change AS
 SELECT change.seq,
    change.xid,
    change.backend,
    change.session,
    change.captured_at,
    change.relation,
    change.operation,
    change.project_id,
    change.ids,
    change.parents,
    change.moved,
    change.bulk,
    change.by_label_studio,
    change.columns,
    change.became_true,
    change.became_false,
    change.status
   FROM lshookd.change
  WHERE (change.seq >= ( SELECT COALESCE(pg_sequence_last_value('lshookd.change_floor'::regclass), (0)::bigint) AS "coalesce"));

COMMENT ON VIEW lshookd.waiting_change IS 'Changes that wait to be planned, read by an index from lshookd.change_floor on.';

CREATE TABLE lshookd.watch_need (
    purpose text NOT NULL,
    relation text NOT NULL,
    operation text NOT NULL
);

COMMENT ON TABLE lshookd.watch_need IS 'Which triggers each additional action and each payload option takes.';

CREATE VIEW lshookd.watch AS
 SELECT DISTINCT format('watches_%s_%s'::text, class.relname, need.operation) AS name,
    need.relation,
    need.operation,
    class.oid AS target,
    ( SELECT attribute.attname
           FROM (pg_index key
             JOIN pg_attribute attribute ON (((attribute.attrelid = key.indrelid) AND (attribute.attnum = key.indkey[0]))))
          WHERE ((key.indrelid = class.oid) AND key.indisprimary)) AS key
   FROM ((lshookd.watch_need need
     CROSS JOIN LATERAL lshookd.tables_of(need.relation) target(oid))
     JOIN pg_class class ON ((class.oid = (target.oid)::oid)))
  WHERE ((need.purpose IN ( SELECT chosen_action.action
           FROM lshookd.chosen_action)) OR ((need.purpose = 'enrich_deletions'::text) AND (EXISTS ( SELECT
           FROM lshookd.payload_option
          WHERE payload_option.enrich_deletions))) OR ((need.purpose = 'previous'::text) AND (EXISTS ( SELECT
           FROM lshookd.payload_option
          WHERE payload_option.previous))));

COMMENT ON VIEW lshookd.watch IS 'The watching triggers that the chosen actions and payload options take.';

CREATE TABLE lshookd.watched_row (
    seq bigint NOT NULL,
    relation text NOT NULL,
    id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    up_to bigint NOT NULL,
    before json,
    after json
);

COMMENT ON TABLE lshookd.watched_row IS 'Rows as watching triggers saw them, until their changes are planned.';

ALTER TABLE lshookd.watched_row ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME lshookd.watched_row_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW lshookd.watcher AS
 SELECT watcher.proname AS name,
    count(trigger.oid) FILTER (WHERE (trigger.tgenabled = ANY (ARRAY['O'::"char", 'A'::"char"]))) AS triggers
   FROM (pg_proc watcher
     LEFT JOIN pg_trigger trigger ON ((trigger.tgfoid = watcher.oid)))
  WHERE ((watcher.pronamespace = ('lshookd'::regnamespace)::oid) AND (watcher.proname ~~ 'watches\_%'::text) AND (watcher.prorettype = ('trigger'::regtype)::oid))
  GROUP BY watcher.proname;

COMMENT ON VIEW lshookd.watcher IS 'The watching triggers that there are.';

CREATE VIEW lshookd.webhook_manner AS
 SELECT delivery_option.webhook_id,
    (EXTRACT(epoch FROM delivery_option.connect_timeout))::double precision AS connect_timeout_seconds,
    (EXTRACT(epoch FROM delivery_option.answer_timeout))::double precision AS answer_timeout_seconds,
    delivery_option.await_answer,
    ( SELECT array_agg((EXTRACT(epoch FROM listed.pause))::double precision ORDER BY listed.place) AS array_agg
           FROM unnest(delivery_option.retry_schedule) WITH ORDINALITY listed(pause, place)) AS retry_schedule_seconds,
    (EXTRACT(epoch FROM delivery_option.maximum_age))::double precision AS maximum_age_seconds,
    delivery_option.rate_limit,
    delivery_option.concurrency,
    regexp_replace(delivery_option.proxy, '^http://.*@'::text, 'http://'::text) AS proxy,
    (EXTRACT(epoch FROM delivery_option.pause_after))::double precision AS pause_after_seconds,
    ((delivery_option.connect_timeout IS NOT NULL) OR (delivery_option.answer_timeout IS NOT NULL) OR (NOT delivery_option.await_answer) OR (delivery_option.retry_schedule IS NOT NULL) OR (delivery_option.maximum_age IS NOT NULL) OR (delivery_option.rate_limit IS NOT NULL) OR (delivery_option.concurrency IS NOT NULL) OR (delivery_option.proxy IS NOT NULL) OR (delivery_option.pause_after IS NOT NULL)) AS is_own
   FROM lshookd.delivery_option;

COMMENT ON VIEW lshookd.webhook_manner IS 'How requests to webhooks are made, in seconds and requests per second, where it is not as the settings say.';

CREATE VIEW lshookd.written_rule AS
 SELECT rule.name,
    rule.webhook_id,
    json_build_object('name', rule.name, 'webhook', rule.webhook_id, 'actions', rule.actions, 'condition', rule.condition, 'on_transition', rule.on_transition, 'threshold', rule.threshold, 'throttle', (('PT'::text || EXTRACT(epoch FROM rule.throttle)) || 'S'::text), 'rename_action', rule.rename_action, 'template', rule.template, 'parameters', rule.parameters) AS rule
   FROM lshookd.rule;

COMMENT ON VIEW lshookd.written_rule IS 'Rules as JSON, in the form of a file.';

ALTER TABLE ONLY lshookd.active_role
    ADD CONSTRAINT active_role_pkey PRIMARY KEY (role, holder);

ALTER TABLE ONLY lshookd.additional_action
    ADD CONSTRAINT additional_action_pkey PRIMARY KEY (name);

ALTER TABLE ONLY lshookd.adoption
    ADD CONSTRAINT adoption_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY lshookd.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (delivery_id, number);

ALTER TABLE ONLY lshookd.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lshookd.backfill
    ADD CONSTRAINT backfill_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lshookd.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY lshookd.change_set_aside
    ADD CONSTRAINT change_set_aside_pkey PRIMARY KEY (set_aside_id);

ALTER TABLE ONLY lshookd.chosen_action
    ADD CONSTRAINT chosen_action_pkey PRIMARY KEY (webhook_id, action);

ALTER TABLE ONLY lshookd.client
    ADD CONSTRAINT client_pkey PRIMARY KEY (role, address, application);

ALTER TABLE ONLY lshookd.completed_project
    ADD CONSTRAINT completed_project_pkey PRIMARY KEY (project_id);

ALTER TABLE ONLY lshookd.daemon_fault
    ADD CONSTRAINT daemon_fault_pkey PRIMARY KEY (holder, fault);

ALTER TABLE ONLY lshookd.daemon_setting
    ADD CONSTRAINT daemon_setting_pkey PRIMARY KEY (holder, key);

ALTER TABLE ONLY lshookd.delivery_option
    ADD CONSTRAINT delivery_option_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY lshookd.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lshookd.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lshookd.failing_webhook
    ADD CONSTRAINT failing_webhook_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY lshookd.lane
    ADD CONSTRAINT lane_pkey PRIMARY KEY (webhook_id, project_id);

ALTER TABLE ONLY lshookd.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (webhook_id, project_id);

ALTER TABLE ONLY lshookd.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY lshookd.operation
    ADD CONSTRAINT operation_pkey PRIMARY KEY (kind, subject);

ALTER TABLE ONLY lshookd.payload_option
    ADD CONSTRAINT payload_option_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY lshookd.puller
    ADD CONSTRAINT puller_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY lshookd.rule
    ADD CONSTRAINT rule_pkey PRIMARY KEY (name);

ALTER TABLE ONLY lshookd.rule_state
    ADD CONSTRAINT rule_state_pkey PRIMARY KEY (rule, project_id);

ALTER TABLE ONLY lshookd.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (webhook_id, secret);

ALTER TABLE ONLY lshookd.tap
    ADD CONSTRAINT tap_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lshookd.watch_need
    ADD CONSTRAINT watch_need_pkey PRIMARY KEY (purpose, relation, operation);

ALTER TABLE ONLY lshookd.watched_row
    ADD CONSTRAINT watched_row_pkey PRIMARY KEY (seq);

CREATE UNIQUE INDEX active_role_single ON lshookd.active_role USING btree (role) WHERE (role <> 'deliverer'::text);

CREATE INDEX attempt_failed ON lshookd.attempt USING btree (started_at) WHERE (error IS NOT NULL);

CREATE INDEX attempt_long ON lshookd.attempt USING btree (started_at) WHERE (duration_ms > 100000);

CREATE INDEX attempt_started ON lshookd.attempt USING brin (started_at) WITH (pages_per_range='16', autosummarize='on');

CREATE INDEX deleted_row_id ON lshookd.deleted_row USING btree (relation, id);

CREATE INDEX delivery_dead ON lshookd.delivery USING btree (webhook_id, id) WHERE (state = 'dead'::text);

CREATE INDEX delivery_delivered ON lshookd.delivery USING btree (webhook_id, ended_at) WHERE (state = 'delivered'::text);

CREATE INDEX delivery_event ON lshookd.delivery USING btree (event_id);

CREATE INDEX delivery_failing ON lshookd.delivery USING btree (webhook_id, project_id, id) WHERE ((state = 'pending'::text) AND (attempts > schedule_from));

CREATE INDEX delivery_message ON lshookd.delivery USING btree (message_id);

CREATE INDEX delivery_pending ON lshookd.delivery USING btree (webhook_id, project_id, id) WHERE (state = 'pending'::text);

CREATE INDEX delivery_undelivered ON lshookd.delivery USING btree (ended_at) WHERE (state = ANY (ARRAY['cancelled'::text, 'skipped'::text, 'dead'::text]));

CREATE INDEX event_tap_only ON lshookd.event USING btree (planned_at) WHERE tap_only;

CREATE INDEX lane_due ON lshookd.lane USING btree (due_at) WHERE (due_at < 'infinity'::timestamp with time zone);

CREATE INDEX lease_given ON lshookd.lease USING btree (webhook_id) WHERE (last_id IS NOT NULL);

CREATE UNIQUE INDEX pause_webhook ON lshookd.pause USING btree (COALESCE(webhook_id, (0)::bigint));

CREATE INDEX rule_state_throttled ON lshookd.rule_state USING btree (rule) WHERE (throttled_body IS NOT NULL);

CREATE INDEX rule_webhook ON lshookd.rule USING btree (webhook_id);

CREATE INDEX watched_row_id ON lshookd.watched_row USING btree (relation, id);

CREATE TRIGGER chosen_action_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON lshookd.chosen_action FOR EACH STATEMENT EXECUTE FUNCTION lshookd.watch_after_choice();

CREATE TRIGGER delivery_deleted AFTER DELETE ON lshookd.delivery REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION lshookd.delete_attempts();

CREATE TRIGGER payload_option_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON lshookd.payload_option FOR EACH STATEMENT EXECUTE FUNCTION lshookd.watch_after_choice();

ALTER TABLE ONLY lshookd.chosen_action
    ADD CONSTRAINT chosen_action_action_fkey FOREIGN KEY (action) REFERENCES lshookd.additional_action(name);

ALTER TABLE ONLY lshookd.delivery
    ADD CONSTRAINT delivery_event_id_fkey FOREIGN KEY (event_id) REFERENCES lshookd.event(id);

ALTER TABLE ONLY lshookd.rule_state
    ADD CONSTRAINT rule_state_rule_fkey FOREIGN KEY (rule) REFERENCES lshookd.rule(name) ON DELETE CASCADE;


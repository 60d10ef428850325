-- Capture that costs Label Studio less: what it does most often goes the shortest way.
--
-- The three functions below run with every annotation that is submitted. They set no search_path, which
-- takes longer than what they do: they name the schema of everything that is looked up by name.

-- Tasks that move ------------------------------------------------------------------------------

-- Label Studio brings the counters of a task up to date with every annotation, and seldom moves one: an
-- update is looked at row by row, which is cheaper than transition tables. The moves of a
-- statement are noted in a setting of its transaction, as "id origin target,", and written when
-- the statement ends. A long note is written earlier, for each addition copies it.

create function lshookd.write_task_moves() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    noted text := current_setting('lshookd.task_moves', true);
begin
    perform set_config('lshookd.task_moves', '', true);
    insert into lshookd.change (relation, operation, project_id, ids, detail)
    select 'task', move.operation, move.project_id, array_agg(task.id order by task.id), lshookd.statement_detail()
    from unnest(string_to_array(rtrim(noted, ','), ',')) as word
    cross join lateral (
        select split_part(word, ' ', 1)::bigint as id,
               nullif(split_part(word, ' ', 2), '')::bigint as origin,
               nullif(split_part(word, ' ', 3), '')::bigint as target
    ) as task
    cross join lateral (values ('delete', task.origin), ('insert', task.target)) as move (operation, project_id)
    where move.project_id is not null
    group by move.operation, move.project_id
    order by move.operation;
    perform lshookd.wake();
end
$$;

-- Only a task's move out of its project or into one is an event. Label Studio deletes tasks by
-- first setting their project to null.
create function lshookd.note_task_move() returns trigger
    language plpgsql
    security definer
as $$
declare
    noted text;
begin
    if (new.project_id is null) operator(pg_catalog.<>) (old.project_id is null)
       or new.project_id operator(pg_catalog.<>) old.project_id then
        noted := pg_catalog.concat(
            pg_catalog.current_setting('lshookd.task_moves', true),
            new.id, ' ', old.project_id, ' ', new.project_id, ','
        );
        perform pg_catalog.set_config('lshookd.task_moves', noted, true);
        if pg_catalog.length(noted) operator(pg_catalog.>) 8000 then
            perform lshookd.write_task_moves();
        end if;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

create function lshookd.capture_task_moves() returns trigger
    language plpgsql
    security definer
as $$
begin
    if pg_catalog.current_setting('lshookd.task_moves', true) operator(pg_catalog.<>) '' then
        begin
            perform lshookd.write_task_moves();
        exception when others then
            perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
        end;
    end if;
    return null;
end
$$;

-- Annotations that are made --------------------------------------------------------------------

-- As before (see V1__change.sql), with a shorter way for a single annotation, which is what
-- somebody submits.
create or replace function lshookd.capture_annotation_insert() returns trigger
    language plpgsql
    security definer
as $$
declare
    made record;
begin
    select pg_catalog.count(*) as quantity,
           pg_catalog.min(annotation.id) as id,
           pg_catalog.min(annotation.task_id) as task_id,
           pg_catalog.min(annotation.project_id) as project_id,
           pg_catalog.bool_or(annotation.derived) as derived
    into made
    from (select null as parent_prediction_id, null as parent_annotation_id, null as updated_by_id) as absent
    cross join lateral (
        select id, task_id, project_id,
               (parent_prediction_id is not null or parent_annotation_id is not null)
               and updated_by_id is null as derived
        from added
    ) as annotation;
    if made.quantity operator(pg_catalog.=) 0 then
        return null;
    elsif made.quantity operator(pg_catalog.=) 1 then
        insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
        values ('annotation', 'insert', made.project_id, array[made.id], array[made.task_id],
                case when made.derived then '{bulk}'::text[] end);
    else
        insert into lshookd.change (relation, operation, project_id, ids, parents, detail)
        select 'annotation', 'insert', project_id,
               pg_catalog.array_agg(id order by id), pg_catalog.array_agg(task_id order by id),
               case
                   when pg_catalog.count(*) operator(pg_catalog.>) 1 then '{bulk}'::text[]
                   when pg_catalog.bool_or(derived) then '{bulk}'::text[]
               end
        from (select null as parent_prediction_id, null as parent_annotation_id, null as updated_by_id) as absent
        cross join lateral (
            select id, task_id, project_id,
                   (parent_prediction_id is not null or parent_annotation_id is not null)
               and updated_by_id is null as derived
            from added
        ) as annotation
        group by project_id;
    end if;
    if not pg_catalog.pg_try_advisory_xact_lock_shared(1819503723, 0) then
        perform pg_catalog.pg_notify('lshookd', '');
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

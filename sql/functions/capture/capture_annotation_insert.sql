-- Made in bulk is what one statement makes of many rows, and what Label Studio makes of predictions even when it
-- is a single one: such a row names its prediction and nobody who edited it, where one submitted in the editor
-- names both. A reference that a version of Label Studio does not have is taken from "absent".
--
-- A single annotation, which is what somebody submits, goes the shortest way: seldom are counts kept of its project, and
-- to call a function that finds it out would cost more than to ask here.
create or replace function lshookd.capture_annotation_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
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

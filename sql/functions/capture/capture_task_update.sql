-- Only a task's move out of its project or into one is an event. Label Studio deletes tasks by first setting their
-- project to null, and brings counters of tasks up to date all the time: the look for moves is outside of the block that
-- catches errors, which would cost as much again. It cannot fail, for a column that a version of Label Studio does not
-- have is taken from "absent".
--
-- Transition tables are unlike a note in a setting of the transaction: nobody can forge them; see
-- docs/decisions/capture.md.
create or replace function lshookd.capture_task_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform
    from (select null as id, null as project_id) as absent
    cross join lateral (select id as task, project_id as project from removed) as before
    join lateral (select id as task, project_id as project from added) as after on after.task = before.task
    where after.project is distinct from before.project;
    -- By far the most: counters.
    if not found then
        return null;
    end if;
    begin
        insert into lshookd.change (relation, operation, project_id, ids, moved, by_label_studio)
        select 'task', move.operation, move.project_id, array_agg(removed.id order by removed.id), true,
               lshookd.is_label_studios()
        from removed
        join added on added.id = removed.id
        cross join lateral (values ('delete', removed.project_id), ('insert', added.project_id))
            as move (operation, project_id)
        where added.project_id is distinct from removed.project_id
          and move.project_id is not null
        group by move.operation, move.project_id
        -- The deletion first: a webhook of both projects learns that a task left before it learns where it came.
        order by move.operation;
        perform lshookd.wake();
    exception when others then
        perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    end;
    return null;
end
$$;

-- Only a task's move out of its project or into one is an event; whether it is labeled is among what is counted of its
-- project. Label Studio deletes tasks by first setting their project to null, and brings counters of tasks up to date
-- all the time: the look for these two is outside of the block that catches errors, which would cost as much again. It
-- cannot fail, for a column that a version of Label Studio does not have is taken from "absent".
--
-- Transition tables are unlike a note in a setting of the transaction: nobody can forge them. Joins of them are full,
-- so that no plan is quadratic. See docs/decisions/capture.md.
create or replace function lshookd.capture_task_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
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

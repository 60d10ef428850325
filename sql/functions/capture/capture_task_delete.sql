-- Beside the change, rows are kept that a change needs which waits to be planned: a task that was created or whose
-- annotation came, and that is gone before its event is rendered. Up to which change each is needed is noted, so that
-- planning can forget it. A task of no project was moved out before, which capture_task_update has told.
create or replace function lshookd.capture_task_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
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

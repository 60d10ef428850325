-- One change for each project of a statement, as an import is: tasks without a project are of no webhook. Whether Label
-- Studio wrote it decides which of them may be one import on a connection that lives on.
create or replace function lshookd.capture_task_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
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

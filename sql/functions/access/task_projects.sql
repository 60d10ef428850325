-- The projects that tasks are in; null for a task that is in none, no row for one that is not there.
create or replace function lshookd.task_projects(ids bigint[]) returns table (id bigint, project_id bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select task.id::bigint, task.project_id::bigint
    from label_studio.task as task
    where task.id = any (ids);
end
$$;

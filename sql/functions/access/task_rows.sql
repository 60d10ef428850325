-- Tasks as their columns stand, and the project of each.
create or replace function lshookd.task_rows(ids bigint[]) returns table (id bigint, project_id bigint, "row" text)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select task.id::bigint, task.project_id::bigint, row_to_json(task)::text
    from label_studio.task as task
    where task.id = any (ids);
end
$$;

-- The parts of projects in which there are tasks or annotations; see lshookd.part_counts.
create or replace function lshookd.project_parts(ids bigint[]) returns table (id bigint, part bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select task.project_id::bigint, task.id::bigint >> 7
    from label_studio.task as task
    where task.project_id = any (ids)
    union
    select annotation.project_id::bigint, coalesce(annotation.task_id::bigint >> 7, -1)
    from label_studio.task_completion as annotation
    where annotation.project_id = any (ids);
end
$$;

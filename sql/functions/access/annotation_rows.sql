-- Annotations as their columns stand, and the task of each.
create or replace function lshookd.annotation_rows(ids bigint[]) returns table (id bigint, parent bigint, "row" text)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select annotation.id::bigint, annotation.task_id::bigint, row_to_json(annotation)::text
    from label_studio.task_completion as annotation
    where annotation.id = any (ids);
end
$$;

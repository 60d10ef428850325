-- Projects as their columns stand, and the organization of each.
create or replace function lshookd.project_rows(ids bigint[]) returns table (id bigint, organization_id bigint, "row" text)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select project.id::bigint, project.organization_id::bigint, row_to_json(project)::text
    from label_studio.project as project
    where project.id = any (ids);
end
$$;

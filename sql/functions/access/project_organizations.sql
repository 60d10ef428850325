-- The organization of each of these projects.
create or replace function lshookd.project_organizations(ids bigint[]) returns table (id bigint, organization_id bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select project.id::bigint, project.organization_id::bigint
    from label_studio.project as project
    where project.id = any (ids);
end
$$;

-- The organization of a project, or without one the organizations that there are.
create or replace function lshookd.organizations_of(project bigint) returns setof bigint
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select organization.id::bigint
    from label_studio.organization as organization
    where project is null
       or organization.id = (
           select owned.organization_id from label_studio.project as owned where owned.id = project
       )
    order by organization.id;
end
$$;

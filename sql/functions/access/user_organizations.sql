-- The organizations that users were put into whose rows name none; of others the only one there is.
create or replace function lshookd.user_organizations(ids bigint[]) returns table (user_id bigint, organization_id bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select given.id,
           coalesce(
               (
                   select min(member.organization_id)
                   from label_studio.organizations_organizationmember as member
                   where member.user_id = given.id
               ),
               (select min(organization.id) from label_studio.organization as organization having count(*) = 1)
           )::bigint
    from unnest(ids) as given (id);
end
$$;

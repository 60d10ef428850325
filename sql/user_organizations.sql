-- The organizations that users were put into whose rows name none; of others the only one there is.
select given.id as user_id,
       coalesce(
           (
               select min(member.organization_id)
               from organizations_organizationmember as member
               where member.user_id = given.id
           ),
           (select min(id) from organization having count(*) = 1)
       )::bigint as organization_id
from unnest($1::bigint[]) as given (id);

-- The organization of a project, or without one the organizations that there are.
select id::bigint as id
from organization
where case
          when $1::bigint is null then true
          else id = (select organization_id from project where project.id = $1::bigint)
      end
order by id;

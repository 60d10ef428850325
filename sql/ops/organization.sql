-- The organization of a project, or without one the organizations that there are.
select id
from lshookd.organizations_of($1::bigint) as organization (id);

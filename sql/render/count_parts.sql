-- Counts all parts of the projects in $1.
select counted.*
from (
    select array_agg(id) as projects, array_agg(part) as parts
    from lshookd.project_parts($1::bigint[])
) as given
cross join lateral lshookd.part_counts(given.projects, given.parts) as counted;

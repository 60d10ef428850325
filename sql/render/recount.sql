-- Counts anew the parts of the projects in $1 whose counts have changed since they were counted last, and forgets what
-- was noted of others: nobody keeps their counts.
with noted as (
    delete from lshookd.recount
    returning project_id, parts
),
changed as materialized (
    select distinct noted.project_id, listed.part
    from noted
    cross join lateral unnest(noted.parts) as listed (part)
    where noted.project_id = any ($1::bigint[])
)
select counted.*
from (
    select array_agg(project_id) as projects, array_agg(part) as parts
    from changed
) as given
cross join lateral lshookd.part_counts(given.projects, given.parts) as counted;

-- Counts anew the parts of the projects in $1 whose counts have changed since they were counted last, and all parts of
-- those in $2. What was noted of others is forgotten: nobody keeps their counts.
with noted as (
    delete from lshookd.recount
    returning project_id, parts
),
wanted as materialized (
    select distinct noted.project_id, listed.part
    from noted
    cross join lateral unnest(noted.parts) as listed (part)
    where noted.project_id = any ($1::bigint[])
)
select counted.*
from (
    select array_agg(project_id) as projects, array_agg(part) as parts
    from wanted
) as given
cross join lateral lshookd.part_counts(given.projects, given.parts) as counted
union all
select *
from lshookd.project_part_counts($2::bigint[]);

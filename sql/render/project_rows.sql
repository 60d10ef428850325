-- Projects as their columns stand, or stood when they were deleted.
with present as materialized (
    select * from lshookd.project_rows($1::bigint[])
)
select id, "row"
from present
union all
(
    select distinct on (id) id,
           image::text as "row"
    from lshookd.deleted_row
    where relation = 'project'
      and id = any ($1::bigint[])
      and id not in (select id from present)
    order by id, up_to desc
);

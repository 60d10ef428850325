-- Annotations as their columns stand, or stood when they were deleted, and the task of each.
with present as materialized (
    select * from lshookd.annotation_rows($1::bigint[])
)
select id, parent, "row"
from present
union all
(
    select distinct on (id) id,
           (image ->> 'task_id')::bigint as parent,
           image::text as "row"
    from lshookd.deleted_row
    where relation = 'annotation'
      and id = any ($1::bigint[])
      and id not in (select id from present)
    order by id, up_to desc
);

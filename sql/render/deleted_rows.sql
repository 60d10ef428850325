-- Rows as they were when they were deleted.
select distinct on (id) id,
       image::text as "row"
from lshookd.deleted_row
where relation = $1::text
  and id = any ($2::bigint[])
order by id, up_to desc;

-- Rows as they were when they were deleted.
select distinct on (id) id,
       image::text as row
from lshookd.last_image
where relation = $1::text
  and id = any ($2::bigint[]);

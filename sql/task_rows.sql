-- Tasks as their columns stand, or stood when they were deleted.
select id::bigint as id,
       row_to_json(task)::text as row
from task
where id = any ($1::bigint[])
union all
select distinct on (id) id,
       image::text as row
from lshookd.last_image
where relation = 'task'
  and id = any ($1::bigint[])
  and not exists (select from task where task.id = last_image.id);

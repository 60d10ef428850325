-- Annotations as their columns stand, or stood when they were deleted, and the task of each.
select id::bigint as id,
       task_id::bigint as parent,
       row_to_json(task_completion)::text as row
from task_completion
where id = any ($1::bigint[])
union all
select distinct on (id) id,
       (image ->> 'task_id')::bigint as parent,
       image::text as row
from lshookd.last_image
where relation = 'annotation'
  and id = any ($1::bigint[])
  and not exists (select from task_completion where task_completion.id = last_image.id);

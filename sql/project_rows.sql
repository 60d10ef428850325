-- Projects as their columns stand, or stood when they were deleted.
select id::bigint as id,
       row_to_json(project)::text as row
from project
where id = any ($1::bigint[])
union all
select distinct on (id) id,
       image::text as row
from lshookd.last_image
where relation = 'project'
  and id = any ($1::bigint[])
  and not exists (select from project where project.id = last_image.id);

-- Label links as their columns stand, or stood when they were deleted, and the label of each.
select id::bigint as id,
       label_id::bigint as parent,
       row_to_json(labels_manager_labellink)::text as row
from labels_manager_labellink
where id = any ($1::bigint[])
union all
select distinct on (id) id,
       (image ->> 'label_id')::bigint as parent,
       image::text as row
from lshookd.last_image
where relation = 'label_link'
  and id = any ($1::bigint[])
  and not exists (select from labels_manager_labellink where labels_manager_labellink.id = last_image.id);

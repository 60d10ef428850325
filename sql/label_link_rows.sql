-- Label links as their columns stand, and the label of each.
select id::bigint as id,
       label_id::bigint as parent,
       row_to_json(labels_manager_labellink)::text as row
from labels_manager_labellink
where id = any ($1::bigint[]);

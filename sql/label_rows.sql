-- Labels as their columns stand, with the two fields that Label Studio's LabelSerializer adds:
-- the links to the label, and the projects that they lead to.
select id::bigint as id,
       row_to_json(labels_manager_label)::text as row,
       array(
           select link.id::bigint
           from labels_manager_labellink as link
           where link.label_id = labels_manager_label.id
           order by link.id
       ) as links,
       array(
           select link.project_id::bigint
           from labels_manager_labellink as link
           where link.label_id = labels_manager_label.id
           order by link.project_id
       ) as projects
from labels_manager_label
where id = any ($1::bigint[]);

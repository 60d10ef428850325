-- What lshookd relies on and this version of Label Studio does not have, and what follows.
-- A missing table is named without its columns.
with relied_on (relation, name, consequence) as (
    values ('prediction', null, 'total_predictions_number is 0'),
           ('labels_manager_labellink', null, 'LABEL_LINK actions are not announced'),
           ('labels_manager_label', null, 'label is null in LABEL_LINK_UPDATED'),
           ('project', 'id', 'nothing can be announced'),
           ('project', 'organization_id', 'nothing can be announced'),
           ('task', 'id', 'nothing can be announced'),
           ('task', 'project_id', 'nothing can be announced'),
           ('task', 'is_labeled', 'finished_task_number is 0'),
           ('task_completion', 'id', 'nothing can be announced'),
           ('task_completion', 'task_id', 'nothing can be announced'),
           ('task_completion', 'project_id', 'nothing can be announced'),
           ('task_completion', 'updated_at', 'updates of annotations are not announced'),
           ('task_completion', 'parent_prediction_id', 'one annotation made of a prediction is ANNOTATION_CREATED'),
           ('task_completion', 'parent_annotation_id', 'one annotation made of another is ANNOTATION_CREATED'),
           ('task_completion', 'updated_by_id', 'one annotation made of another is ANNOTATION_CREATED'),
           ('task_completion', 'was_cancelled', 'skipped annotations count as others'),
           ('task_completion', 'ground_truth', 'ground_truth_number is 0'),
           ('task_completion', 'result', 'annotations without a result count as others'),
           ('prediction', 'task_id', 'nothing can be announced'),
           ('labels_manager_labellink', 'id', 'LABEL_LINK actions are not announced'),
           ('labels_manager_labellink', 'project_id', 'LABEL_LINK actions are not announced'),
           ('labels_manager_labellink', 'label_id', 'LABEL_LINK actions are not announced'),
           ('webhook', 'id', 'nothing can be delivered'),
           ('webhook', 'organization_id', 'nothing can be delivered'),
           ('webhook', 'project_id', 'nothing can be delivered'),
           ('webhook', 'url', 'nothing can be delivered'),
           ('webhook', 'headers', 'nothing can be delivered'),
           ('webhook', 'is_active', 'nothing can be delivered'),
           ('webhook', 'send_payload', 'nothing can be delivered'),
           ('webhook', 'send_for_all_actions', 'nothing can be delivered'),
           ('webhook_action', 'webhook_id', 'nothing can be delivered'),
           ('webhook_action', 'action', 'nothing can be delivered')
)
select relied_on.relation || coalesce('.' || relied_on.name, '') as missing,
       relied_on.consequence
from relied_on
cross join lshookd.label_studio
left join pg_class as class on class.relnamespace = label_studio.oid and class.relname = relied_on.relation
where case
          when relied_on.name is null then class.oid is null
          else class.oid is not null and not exists (
              select
              from pg_attribute as attribute
              where attribute.attrelid = class.oid
                and attribute.attname = relied_on.name
                and attribute.attnum > 0
                and not attribute.attisdropped
          )
      end;

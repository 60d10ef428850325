-- Objects that a webhook concerns, of one kind ($1: project, task, annotation or label_link) and
-- perhaps one project ($3), after the id $4 in ascending order, or the newest first with $6.
with concerned as (
    select project.id
    from webhook
    join project on project.id = webhook.project_id
        or (webhook.project_id is null and project.organization_id = webhook.organization_id)
    where webhook.id = $2::bigint
      and ($3::bigint is null or project.id = $3)
),
found (project_id, id) as (
    select id::bigint, id::bigint
    from concerned
    where $1::text = 'project' and id > $4::bigint
    union all
    select project_id::bigint, id::bigint
    from task
    where $1::text = 'task' and id > $4::bigint and project_id in (select id from concerned)
    union all
    select task.project_id::bigint, task_completion.id::bigint
    from task_completion
    join task on task.id = task_completion.task_id
    where $1::text = 'annotation' and task_completion.id > $4::bigint and task.project_id in (select id from concerned)
    union all
    select project_id::bigint, id::bigint
    from labels_manager_labellink
    where $1::text = 'label_link' and id > $4::bigint and project_id in (select id from concerned)
)
select project_id, id
from found
order by case when $6::boolean then -id else id end
limit $5::bigint;

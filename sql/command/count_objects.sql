-- How many objects of one kind a webhook concerns, after the id $4.
with concerned as (
    select project.id
    from webhook
    join project on project.id = webhook.project_id
        or (webhook.project_id is null and project.organization_id = webhook.organization_id)
    where webhook.id = $2::bigint
      and ($3::bigint is null or project.id = $3)
)
select case $1::text
           when 'project' then (select count(*) from concerned where id > $4::bigint)
           when 'task' then (select count(*) from task where id > $4::bigint and project_id in (select id from concerned))
           when 'annotation' then (
               select count(*)
               from task_completion
               join task on task.id = task_completion.task_id
               where task_completion.id > $4::bigint and task.project_id in (select id from concerned)
           )
           else (select count(*) from labels_manager_labellink where id > $4::bigint and project_id in (select id from concerned))
       end as count;

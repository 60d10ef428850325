-- The least that turns imported tasks ($1) into a delivery: stores one event that shows them.
with rendered as materialized (
    select nextval('lshookd.event_id_seq') as id,
           project.id as project_id,
           json_build_object(
               'action', 'TASKS_CREATED',
               'tasks', (select json_agg(row_to_json(task)) from task where task.id = any ($1::bigint[])),
               'project', row_to_json(project)
           )::text as body
    from project
    where project.id = 1
),
stored as (
    insert into lshookd.event (id, action, project_id, object_count, occurred_at, body)
    overriding system value
    select id, 'TASKS_CREATED', project_id, cardinality($1::bigint[]), clock_timestamp(), body
    from rendered
),
owed as (
    insert into lshookd.delivery (event_id, webhook_id, project_id)
    select rendered.id, webhook.id, rendered.project_id
    from rendered
    join webhook on webhook.project_id = rendered.project_id
    returning id, message_id, webhook_id
)
select owed.id, owed.message_id::text as message_id, owed.webhook_id, rendered.body
from owed
cross join rendered;

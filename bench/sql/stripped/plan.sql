-- The least that turns changes into deliveries: takes $1 annotations that were captured, stores an event of each with the
-- rows that it shows, and a delivery to each webhook of its project; and gives what is to be sent.
with taken as (
    delete from lshookd.change
    where seq in (select seq from lshookd.change order by seq limit $1::bigint)
    returning seq, relation, project_id, ids
),
rendered as materialized (
    select nextval('lshookd.event_id_seq') as id,
           taken.project_id,
           json_build_object(
               'action', 'ANNOTATION_CREATED',
               'annotation', row_to_json(annotation),
               'task', row_to_json(task),
               'project', row_to_json(project)
           )::text as body
    from taken
    cross join unnest(taken.ids) as given (id)
    join task_completion as annotation on annotation.id = given.id
    join task on task.id = annotation.task_id
    join project on project.id = taken.project_id
    where taken.relation = 'annotation'
    order by taken.seq
),
stored as (
    insert into lshookd.event (id, action, project_id, object_count, occurred_at, body)
    overriding system value
    select id, 'ANNOTATION_CREATED', project_id, 1, clock_timestamp(), body
    from rendered
),
owed as (
    insert into lshookd.delivery (event_id, webhook_id, project_id)
    select rendered.id, webhook.id, rendered.project_id
    from rendered
    join webhook on webhook.project_id = rendered.project_id
    order by rendered.id
    returning id, message_id, event_id, webhook_id
)
select owed.id, owed.message_id::text as message_id, owed.webhook_id, rendered.body
from owed
join rendered on rendered.id = owed.event_id
order by owed.id;

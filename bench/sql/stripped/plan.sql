-- The least that turns changes into deliveries: takes $1 changes of annotations, stores an event of each annotation with
-- the rows and the counts that it shows, and a delivery to each webhook of its project; and gives what is to be sent. A
-- body comes with the first of its deliveries.
with taken as (
    delete from lshookd.change
    -- By their key, and not by a join that might read all of them for each.
    where seq = any (array(select seq from lshookd.change order by seq limit $1::bigint))
    returning seq, relation, project_id, ids
),
counted as materialized (
    select project.id,
           json_build_object(
               'task_number', tasks.total,
               'finished_task_number', tasks.finished,
               'total_predictions_number', (select count(*) from prediction where prediction.project_id = project.id),
               'total_annotations_number', annotations.valid,
               'num_tasks_with_annotations', annotations.tasks,
               'useful_annotation_number', annotations.useful,
               'ground_truth_number', annotations.truths,
               'skipped_annotations_number', annotations.skips
           ) as counts,
           row_to_json(project) as project
    from project
    cross join lateral (
        select count(*) as total, count(*) filter (where is_labeled) as finished
        from task
        where project_id = project.id
    ) as tasks
    cross join lateral (
        select count(*) filter (where not was_cancelled) as valid,
               count(distinct task_id) filter (where useful) as tasks,
               count(*) filter (where useful) as useful,
               count(*) filter (where ground_truth) as truths,
               count(*) filter (where was_cancelled) as skips
        from (
            select *, not was_cancelled and not ground_truth and result is not null as useful
            from task_completion
            where project_id = project.id
        ) as annotation
    ) as annotations
    where project.id in (select project_id from taken)
),
rendered as materialized (
    select nextval('lshookd.event_id_seq') as id,
           taken.project_id,
           json_build_object(
               'action', 'ANNOTATION_CREATED',
               'annotation', annotation.shown,
               'task', task.shown,
               'project', counted.project,
               'counts', counted.counts
           )::text as body
    from taken
    cross join unnest(taken.ids) as given (id)
    -- Each by its key: "offset" keeps them from being joined with all the others.
    cross join lateral (
        select task_id, row_to_json(task_completion) as shown from task_completion where id = given.id offset 0
    ) as annotation
    cross join lateral (
        select row_to_json(task) as shown from task where id = annotation.task_id offset 0
    ) as task
    join counted on counted.id = taken.project_id
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
    order by rendered.id, webhook.id
    returning id, message_id, event_id, webhook_id
)
select owed.id,
       owed.message_id::text as message_id,
       owed.webhook_id,
       case when owed.event_id is distinct from lag(owed.event_id) over (order by owed.id) then rendered.body end as body
from owed
join rendered on rendered.id = owed.event_id
order by owed.id;

-- One annotation of some project's task, whose event has 3 kB.
\set project random(1, 32)
insert into task_completion
    (result, was_cancelled, ground_truth, created_at, updated_at, task_id, prediction, lead_time, result_count,
     completed_by_id, project_id, unique_id, bulk_created)
select jsonb_build_array(jsonb_build_object('text', repeat('owl ', 250))), false, false, now(), now(), task.id, '{}', 1.5,
       1, 1, :project, gen_random_uuid(), false
from (select min(id) as id from task where project_id = :project) as task;

-- What Label Studio writes when an annotation is submitted; what it reads is left out, which makes
-- the cost of capture weigh more than it does in truth.
\set task random(1, 1000)
insert into task_completion
    (result, was_cancelled, ground_truth, created_at, updated_at, task_id, prediction, lead_time, result_count,
     completed_by_id, project_id, unique_id, bulk_created)
values ('[{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["owl"]}}]', false, false,
        now(), now(), :task, '{}', 1.5, 1, 1, 1, gen_random_uuid(), false);
update task set is_labeled = true, updated_at = now(), updated_by_id = 1 where id = :task;
update task set total_annotations = total_annotations + 1 where id = :task;

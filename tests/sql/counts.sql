-- What Label Studio counts of project 1, written down once more.
select json_build_object(
    'task_number', (select count(*) from task where project_id = 1),
    'finished_task_number', (select count(*) from task where project_id = 1 and is_labeled),
    'total_annotations_number', (select count(*) from task_completion where project_id = 1 and not was_cancelled),
    'num_tasks_with_annotations', (
        select count(*)
        from (
            select distinct task_id
            from task_completion
            where project_id = 1 and not was_cancelled and not ground_truth and result is not null
        ) as annotated
    ),
    'useful_annotation_number', (
        select count(*)
        from task_completion
        where project_id = 1 and not was_cancelled and not ground_truth and result is not null
    ),
    'ground_truth_number', (select count(*) from task_completion where project_id = 1 and ground_truth),
    'skipped_annotations_number', (select count(*) from task_completion where project_id = 1 and was_cancelled)
)::text as counts;

-- The counts that Label Studio adds to each project (ProjectManager.with_counts in its
-- projects/models.py), but for the predictions'. A column that a version of Label Studio does not
-- have is taken from "absent": a name that a subquery's own tables lack is looked for around it.
select wanted.id,
       tasks.task_number,
       tasks.finished_task_number,
       annotations.total_annotations_number,
       annotations.num_tasks_with_annotations,
       annotations.useful_annotation_number,
       annotations.ground_truth_number,
       annotations.skipped_annotations_number
from unnest($1::bigint[]) as wanted (id)
cross join lateral (
    select count(*) as task_number,
           count(*) filter (where finished) as finished_task_number
    from (select false as is_labeled) as absent
    cross join lateral (select is_labeled as finished from task where task.project_id = wanted.id) as task
) as tasks
cross join lateral (
    select coalesce(sum(valid), 0)::bigint as total_annotations_number,
           count(*) filter (where useful > 0) as num_tasks_with_annotations,
           coalesce(sum(useful), 0)::bigint as useful_annotation_number,
           coalesce(sum(truths), 0)::bigint as ground_truth_number,
           coalesce(sum(skips), 0)::bigint as skipped_annotations_number
    from (
        -- By task: that is how the tasks with annotations are counted the fastest.
        select count(*) filter (where not skipped) as valid,
               count(*) filter (where useful) as useful,
               count(*) filter (where truth) as truths,
               count(*) filter (where skipped) as skips
        from (select false as was_cancelled, false as ground_truth, '' as result) as absent
        cross join lateral (
            select task_id,
                   was_cancelled as skipped,
                   ground_truth as truth,
                   not was_cancelled and not ground_truth and result is not null as useful
            from task_completion
            where task_completion.project_id = wanted.id
        ) as annotation
        group by task_id
    ) as by_task
) as annotations;

-- Projects as their columns stand, or stood when they were deleted, with the counts that Label
-- Studio adds (ProjectManager.with_counts in its projects/models.py), but for the predictions'.
-- A column that a version of Label Studio does not have is taken from "absent": a name that a
-- subquery's own tables lack is looked for around it.
select project.id,
       project.row,
       tasks.task_number,
       tasks.finished_task_number,
       annotations.total_annotations_number,
       annotations.num_tasks_with_annotations,
       annotations.useful_annotation_number,
       annotations.ground_truth_number,
       annotations.skipped_annotations_number
from (
    select id::bigint as id,
           row_to_json(project)::text as row
    from project
    where id = any ($1::bigint[])
    union all
    select distinct on (id) id,
           image::text as row
    from lshookd.last_image
    where relation = 'project'
      and id = any ($1::bigint[])
      and not exists (select from project where project.id = last_image.id)
) as project
cross join lateral (
    select count(*) as task_number,
           count(*) filter (where finished) as finished_task_number
    from (select false as is_labeled) as absent
    cross join lateral (select is_labeled as finished from task where task.project_id = project.id) as task
) as tasks
cross join lateral (
    select count(*) filter (where not skipped) as total_annotations_number,
           count(distinct coalesce(task_id, 0)) filter (where useful) as num_tasks_with_annotations,
           count(*) filter (where useful) as useful_annotation_number,
           count(*) filter (where truth) as ground_truth_number,
           count(*) filter (where skipped) as skipped_annotations_number
    from (select false as was_cancelled, false as ground_truth, '' as result) as absent
    cross join lateral (
        select task_id,
               was_cancelled as skipped,
               ground_truth as truth,
               not was_cancelled and not ground_truth and result is not null as useful
        from task_completion
        where task_completion.project_id = project.id
    ) as annotation
) as annotations;

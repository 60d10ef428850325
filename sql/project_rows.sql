-- Projects as their columns stand, or stood when they were deleted, with the counts that Label
-- Studio adds (ProjectManager.with_counts in its projects/models.py), but for the predictions'.
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
           count(*) filter (where task.is_labeled) as finished_task_number
    from task
    where task.project_id = project.id
) as tasks
cross join lateral (
    select count(*) filter (where not was_cancelled) as total_annotations_number,
           count(distinct coalesce(task_id, 0)) filter (where not was_cancelled and not ground_truth and result is not null)
               as num_tasks_with_annotations,
           count(*) filter (where not was_cancelled and not ground_truth and result is not null)
               as useful_annotation_number,
           count(*) filter (where ground_truth) as ground_truth_number,
           count(*) filter (where was_cancelled) as skipped_annotations_number
    from task_completion
    where task_completion.project_id = project.id
) as annotations;

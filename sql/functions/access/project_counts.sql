-- The counts that Label Studio adds to each project (ProjectManager.with_counts in its projects/models.py), but
-- for the predictions'. A column that a version of Label Studio does not have is taken from "absent": a name that
-- a subquery's own tables lack is looked for around it.
create or replace function lshookd.project_counts(ids bigint[]) returns table (
        id bigint,
        task_number bigint,
        finished_task_number bigint,
        total_annotations_number bigint,
        num_tasks_with_annotations bigint,
        useful_annotation_number bigint,
        ground_truth_number bigint,
        skipped_annotations_number bigint
    )
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select wanted.id,
           tasks.total,
           tasks.finished,
           annotations.valid,
           annotations.tasks,
           annotations.useful,
           annotations.truths,
           annotations.skips
    from unnest(ids) as wanted (id)
    cross join lateral (
        select count(*) as total,
               count(*) filter (where task.finished) as finished
        from (select false as is_labeled) as absent
        cross join lateral (
            select is_labeled as finished from label_studio.task as task where task.project_id = wanted.id
        ) as task
    ) as tasks
    cross join lateral (
        select coalesce(sum(by_task.valid), 0)::bigint as valid,
               count(*) filter (where by_task.useful > 0) as tasks,
               coalesce(sum(by_task.useful), 0)::bigint as useful,
               coalesce(sum(by_task.truths), 0)::bigint as truths,
               coalesce(sum(by_task.skips), 0)::bigint as skips
        from (
            -- By task: that is how the tasks with annotations are counted the fastest.
            select count(*) filter (where not annotation.skipped) as valid,
                   count(*) filter (where annotation.useful) as useful,
                   count(*) filter (where annotation.truth) as truths,
                   count(*) filter (where annotation.skipped) as skips
            from (select false as was_cancelled, false as ground_truth, '' as result) as absent
            cross join lateral (
                select task_id,
                       was_cancelled as skipped,
                       ground_truth as truth,
                       not was_cancelled and not ground_truth and result is not null as useful
                from label_studio.task_completion as annotation
                where annotation.project_id = wanted.id
            ) as annotation
            group by annotation.task_id
        ) as by_task
    ) as annotations;
end
$$;

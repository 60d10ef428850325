-- The same as lshookd.project_counts, of parts of projects: a part is 128 tasks by id, the id without its last seven bits
-- (-1: annotations of no task). projects and parts are parallel arrays.
--
-- By the ids of tasks, and not by the index of projects, in which a large project is most of the entries: "+ 0".
create or replace function lshookd.part_counts(projects bigint[], parts bigint[]) returns table (
        id bigint,
        part bigint,
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
    select wanted.project,
           wanted.part,
           tasks.total,
           tasks.finished,
           annotations.valid,
           annotations.tasks,
           annotations.useful,
           annotations.truths,
           annotations.skips
    from unnest(projects, parts) as wanted (project, part)
    cross join lateral (
        select count(*) as total,
               count(*) filter (where task.finished) as finished
        from (select false as is_labeled) as absent
        cross join lateral (
            select is_labeled as finished
            from label_studio.task as task
            where task.id >= wanted.part << 7
              and task.id < (wanted.part + 1) << 7
              and task.project_id + 0 = wanted.project
        ) as task
    ) as tasks
    cross join lateral (
        select coalesce(sum(by_task.valid), 0)::bigint as valid,
               count(*) filter (where by_task.useful > 0) as tasks,
               coalesce(sum(by_task.useful), 0)::bigint as useful,
               coalesce(sum(by_task.truths), 0)::bigint as truths,
               coalesce(sum(by_task.skips), 0)::bigint as skips
        from (
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
                from (
                    select *
                    from label_studio.task_completion as of_tasks
                    where of_tasks.task_id >= wanted.part << 7
                      and of_tasks.task_id < (wanted.part + 1) << 7
                    union all
                    select *
                    from label_studio.task_completion as of_none
                    where wanted.part = -1
                      and of_none.task_id is null
                ) as annotation
                where annotation.project_id + 0 = wanted.project
            ) as annotation
            group by annotation.task_id
        ) as by_task
    ) as annotations;
end
$$;

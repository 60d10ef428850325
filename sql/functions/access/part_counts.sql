-- The same as lshookd.project_counts, of parts of projects: a part is 128 tasks by id, the id without its last seven bits
-- (-1: annotations of no task). projects and parts are parallel arrays.
--
-- By the ids of tasks, and not by the index of projects, in which a large project is most of the entries. Each part is read
-- once, for all projects that have tasks in it; an offset keeps PostgreSQL from reading all tasks for each part instead,
-- which seems cheap to it where statistics are of the beginning of an import.
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
    with wanted as materialized (
        select * from unnest(projects, parts) as listed (project, part)
    ),
    part as materialized (
        select distinct wanted.part as number from wanted
    )
    select wanted.project,
           wanted.part,
           coalesce(tasks.total, 0),
           coalesce(tasks.finished, 0),
           coalesce(annotations.valid, 0),
           coalesce(annotations.tasks, 0),
           coalesce(annotations.useful, 0),
           coalesce(annotations.truths, 0),
           coalesce(annotations.skips, 0)
    from wanted
    left join (
        select task.project,
               task.part,
               count(*) as total,
               count(*) filter (where task.finished) as finished
        from (select false as is_labeled) as absent
        cross join lateral (
            select part.number as part,
                   of_part.project_id as project,
                   is_labeled as finished
            from part
            cross join lateral (
                select *
                from label_studio.task as of_part
                where of_part.id >= part.number << 7
                  and of_part.id < (part.number + 1) << 7
                offset 0
            ) as of_part
        ) as task
        group by task.project, task.part
    ) as tasks on tasks.project = wanted.project and tasks.part = wanted.part
    left join (
        select by_task.project,
               by_task.part,
               sum(by_task.valid)::bigint as valid,
               count(*) filter (where by_task.useful > 0) as tasks,
               sum(by_task.useful)::bigint as useful,
               sum(by_task.truths)::bigint as truths,
               sum(by_task.skips)::bigint as skips
        from (
            select annotation.project,
                   annotation.part,
                   count(*) filter (where not annotation.skipped) as valid,
                   count(*) filter (where annotation.useful) as useful,
                   count(*) filter (where annotation.truth) as truths,
                   count(*) filter (where annotation.skipped) as skips
            from (select false as was_cancelled, false as ground_truth, '' as result) as absent
            cross join lateral (
                select part.number as part,
                       of_part.project_id as project,
                       task_id,
                       was_cancelled as skipped,
                       ground_truth as truth,
                       not was_cancelled and not ground_truth and result is not null as useful
                from part
                cross join lateral (
                    select *
                    from label_studio.task_completion as of_tasks
                    where of_tasks.task_id >= part.number << 7
                      and of_tasks.task_id < (part.number + 1) << 7
                    union all
                    select *
                    from label_studio.task_completion as of_none
                    where part.number = -1
                      and of_none.task_id is null
                ) as of_part
            ) as annotation
            group by annotation.project, annotation.part, annotation.task_id
        ) as by_task
        group by by_task.project, by_task.part
    ) as annotations on annotations.project = wanted.project and annotations.part = wanted.part;
end
$$;

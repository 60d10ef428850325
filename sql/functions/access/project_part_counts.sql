-- The same as lshookd.project_counts, of each part of the given projects in which there are tasks or annotations (see
-- lshookd.part_counts): all of a project is read once, which is faster than to ask for each of its parts.
create or replace function lshookd.project_part_counts(ids bigint[]) returns table (
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
    select wanted.id,
           counted.part_number,
           counted.total,
           counted.finished,
           counted.valid,
           counted.tasks,
           counted.useful,
           counted.truths,
           counted.skips
    from unnest(ids) as wanted (id)
    cross join lateral (
        select part_number,
               coalesce(tasks.total, 0) as total,
               coalesce(tasks.finished, 0) as finished,
               coalesce(annotations.valid, 0) as valid,
               coalesce(annotations.tasks, 0) as tasks,
               coalesce(annotations.useful, 0) as useful,
               coalesce(annotations.truths, 0) as truths,
               coalesce(annotations.skips, 0) as skips
        from (
            select task.part_number,
                   count(*) as total,
                   count(*) filter (where task.finished) as finished
            from (select false as is_labeled) as absent
            cross join lateral (
                select of_project.id::bigint >> 7 as part_number, is_labeled as finished
                from label_studio.task as of_project
                where of_project.project_id = wanted.id
            ) as task
            group by task.part_number
        ) as tasks
        full join (
            select coalesce(by_task.task_id >> 7, -1) as part_number,
                   sum(by_task.valid)::bigint as valid,
                   count(*) filter (where by_task.useful > 0) as tasks,
                   sum(by_task.useful)::bigint as useful,
                   sum(by_task.truths)::bigint as truths,
                   sum(by_task.skips)::bigint as skips
            from (
                select annotation.task_id::bigint,
                       count(*) filter (where not annotation.skipped) as valid,
                       count(*) filter (where annotation.useful) as useful,
                       count(*) filter (where annotation.truth) as truths,
                       count(*) filter (where annotation.skipped) as skips
                from (select false as was_cancelled, false as ground_truth, '' as result) as absent
                cross join lateral (
                    select task_id,
                           was_cancelled as skipped,
                           ground_truth as truth,
                           not was_cancelled and not ground_truth and result is not null as useful
                    from label_studio.task_completion as of_project
                    where of_project.project_id = wanted.id
                ) as annotation
                group by annotation.task_id
            ) as by_task
            group by coalesce(by_task.task_id >> 7, -1)
        ) as annotations using (part_number)
    ) as counted;
end
$$;

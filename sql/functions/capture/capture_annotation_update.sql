-- Label Studio's model moves updated_at with every real save. Where it did not move, the row counts as changed
-- only if something beside Label Studio's bookkeeping did.
--
-- Joins are full, so that no plan of them is quadratic: see docs/decisions/capture.md.
--
-- What is counted of a project depends on few columns, which hardly any update changes. One that a version of Label
-- Studio does not have is taken from "absent".
create or replace function lshookd.capture_annotation_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'update', added.project_id,
           array_agg(added.id order by added.id) filter (where added.id is not null),
           array_agg(added.task_id order by added.id) filter (where added.id is not null)
    from removed
    full join added on added.id = removed.id
    where added.updated_at is distinct from removed.updated_at
       or not added *= removed and lshookd.annotation_differs(to_jsonb(removed), to_jsonb(added))
    group by added.project_id
    having count(added.id) > 0;
    -- Seldom does anybody sleep who has to be woken; see lshookd.wake.
    if found and not pg_try_advisory_xact_lock_shared(1819503723, 0) then
        perform lshookd.wake();
    end if;
    perform lshookd.counts_changed(counted.project_id, array_agg(counted.task_id))
    from (select null as was_cancelled, null as ground_truth, null as result) as absent
    cross join lateral (
        select state.project_id, state.task_id
        from (
            select id, project_id, task_id, was_cancelled as skipped, ground_truth as truth, result is null as empty
            from removed
        ) as before
        full join (
            select id, project_id, task_id, was_cancelled as skipped, ground_truth as truth, result is null as empty
            from added
        ) as after on after.id = before.id
        cross join lateral (values (before.project_id, before.task_id), (after.project_id, after.task_id))
            as state (project_id, task_id)
        where after.skipped is distinct from before.skipped
           or after.truth is distinct from before.truth
           or after.empty is distinct from before.empty
           or after.task_id is distinct from before.task_id
           or after.project_id is distinct from before.project_id
    ) as counted
    group by counted.project_id
    having not pg_try_advisory_xact_lock_shared(1819503723, 64 + (counted.project_id & 63)::integer);
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

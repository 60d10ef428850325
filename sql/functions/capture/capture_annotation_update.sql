-- Label Studio's model moves updated_at with every real save. Where it did not move, the row counts as changed
-- only if something beside Label Studio's bookkeeping did, and a reference that became null is the consequence of
-- a deletion elsewhere.
create or replace function lshookd.capture_annotation_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'update', added.project_id,
           array_agg(added.id order by added.id), array_agg(added.task_id order by added.id)
    from removed
    join added on added.id = removed.id
    where case
              when added.updated_at is distinct from removed.updated_at then true
              when added *= removed then false
              else exists (
                  select
                  from jsonb_each(to_jsonb(added)) as after
                  join jsonb_each(to_jsonb(removed)) as before on before.key = after.key
                  where after.value is distinct from before.value
                    and not (after.key like '%\_id' and after.value = 'null')
                    and after.key not in ('updated_by_id', 'last_created_by_id', 'last_action', 'result_count',
                                          'unique_id', 'import_id', 'draft_created_at', 'bulk_created')
              )
          end
    group by added.project_id;
    if found then
        perform lshookd.wake();
    end if;
    perform lshookd.counts_changed(project_id, array_agg(task_id))
    from (
        select project_id, task_id from removed
        union
        select project_id, task_id from added
    ) as counted
    group by project_id;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

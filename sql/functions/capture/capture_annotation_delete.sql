-- Whether annotations went along with their tasks is for the planner to say: to look at the tasks here would
-- make serializable writers fail.
create or replace function lshookd.capture_annotation_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    unplanned record;
begin
    select * into unplanned from lshookd.unplanned();
    -- What waits are deletions, most often, the moves of the annotations' tasks among them.
    if (
        case
            when unplanned.newest is null then false
            when unplanned.keep_all then true
            else exists (select from lshookd.waiting_change as change where change.operation <> 'delete')
        end
    ) then
        insert into lshookd.deleted_row (relation, id, up_to, image)
        select 'annotation', removed.id, unplanned.newest,
               case when not unplanned.ids_alone then row_to_json(removed) end
        from removed
        where case
                  when unplanned.keep_all then true
                  else removed.id in (
                           select unnest(change.ids) from lshookd.waiting_change as change
                           where change.relation in ('annotation', 'watched_annotation')
                             and change.operation <> 'delete'
                       )
              end;
    end if;
    insert into lshookd.change (relation, operation, project_id, ids, parents, by_label_studio)
    select 'annotation', 'delete', project_id, array_agg(id order by id), array_agg(task_id order by id),
           lshookd.is_label_studios()
    from removed
    group by project_id;
    if found then
        perform lshookd.wake();
        perform lshookd.counts_changed(project_id, array_agg(task_id)) from removed group by project_id;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

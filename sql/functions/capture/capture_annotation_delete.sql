-- Whether annotations went along with their tasks is for the planner to say: to look at the tasks here would
-- make serializable writers fail.
create or replace function lshookd.capture_annotation_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'annotation', removed.id, unplanned.newest, case when not unplanned.ids_alone then row_to_json(removed) end
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null
      and case
              when unplanned.keep_all then true
              else removed.id in (
                       select unnest(change.ids) from lshookd.waiting_change as change
                       where change.relation in ('annotation', 'watched_annotation') and change.operation <> 'delete'
                   )
          end;
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

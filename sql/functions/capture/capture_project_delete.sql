-- The organization goes along, which can no longer be looked up. The row is kept whenever something waits to be
-- planned: any change may be one of this project.
create or replace function lshookd.capture_project_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'project', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'project', 'delete', id, array[id], array[organization_id]
    from removed
    order by id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

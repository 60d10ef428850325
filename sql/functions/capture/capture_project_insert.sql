-- One change for each, in the order of their ids: Label Studio announces projects one by one.
create or replace function lshookd.capture_project_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids)
    select 'project', 'insert', id, array[id]
    from added
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

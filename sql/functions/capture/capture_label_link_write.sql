-- For what was inserted and what was updated alike.
create or replace function lshookd.capture_label_link_write() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'label_link', lower(tg_op), project_id, array_agg(id order by id), array_agg(label_id order by id)
    from added
    group by project_id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

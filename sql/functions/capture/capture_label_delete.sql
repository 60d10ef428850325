-- A label is no event of Label Studio's, but a link that is announced shows it.
create or replace function lshookd.capture_label_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'label', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

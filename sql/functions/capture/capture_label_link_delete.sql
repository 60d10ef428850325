-- The label goes along as the parent: a link is shown with its label, whose row may go in the same statement.
create or replace function lshookd.capture_label_link_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select 'label_link', removed.id, unplanned.newest, row_to_json(removed)
    from removed
    cross join lshookd.unplanned() as unplanned
    where unplanned.newest is not null;
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'label_link', 'delete', project_id, array_agg(id order by id), array_agg(label_id order by id)
    from removed
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

-- The names of the changed columns go along: what Label Studio does to a project in passing (a cached label
-- configuration, an import's model version) is told apart by them.
--
-- The join is full, so that no plan of it is quadratic: see docs/decisions/capture.md.
create or replace function lshookd.capture_project_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, columns, by_label_studio)
    select 'project', 'update', added.id, array[added.id], changed.columns, lshookd.is_label_studios()
    from removed
    full join added on added.id = removed.id
    cross join lateral (
        select array_agg(after.key order by after.key) as columns
        from jsonb_each(to_jsonb(added)) as after
        join jsonb_each(to_jsonb(removed)) as before on before.key = after.key
        where after.value is distinct from before.value
    ) as changed
    where changed.columns is not null
    order by added.id;
    if found then
        perform lshookd.wake();
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

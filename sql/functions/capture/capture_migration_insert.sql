-- Marks what the connection did before as a migration of Label Studio's, which notes each when it is done. A migration
-- is no action, whatever rows it rewrites.
create or replace function lshookd.capture_migration_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, ids)
    values ('migration', 'insert', '{}');
    perform lshookd.wake();
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- Deletes the attempts of deliveries that are deleted.
create or replace function lshookd.delete_attempts() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    delete from lshookd.attempt
    where delivery_id = any (array(select id from removed));
    return null;
end
$$;

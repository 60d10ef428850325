create or replace function lshookd.watch_after_choice() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform lshookd.watch_as_wanted();
    return null;
end
$$;

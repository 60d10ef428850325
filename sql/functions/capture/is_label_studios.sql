-- Whether the statement is one of Label Studio's own: Django quotes every name, and its statements begin with
-- the name of a table.
create or replace function lshookd.is_label_studios() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select left(current_query(), 16) like '%"%'
$$;

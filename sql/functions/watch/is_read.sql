-- Whether rows of this relation are read from their table when an event is made of them.
create or replace function lshookd.is_read(relation text) returns boolean
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select relation in ('project', 'task', 'annotation', 'label_link')
$$;

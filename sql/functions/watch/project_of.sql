-- The project that a watched row is in; 0 for what is in none but the organization, null where its task knows.
create or replace function lshookd.project_of(relation text, "row" jsonb) returns bigint
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case
               when relation in ('user', 'label') then 0
               when relation = 'project' then ("row" ->> 'id')::bigint
               else ("row" ->> 'project_id')::bigint
           end
$$;

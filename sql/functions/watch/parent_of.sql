-- What a watched row belongs to: a task, or the organization.
create or replace function lshookd.parent_of(relation text, "row" jsonb) returns bigint
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case relation
               when 'user' then "row" ->> 'active_organization_id'
               when 'label' then "row" ->> 'organization_id'
               else "row" ->> 'task_id'
           end::bigint
$$;

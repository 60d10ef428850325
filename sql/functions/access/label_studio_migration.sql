-- The youngest migration of Label Studio's tasks, which tells its version.
create or replace function lshookd.label_studio_migration() returns table (name text, applied timestamptz)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select migration.app::text || '.' || migration.name::text, migration.applied::timestamptz
    from label_studio.django_migrations as migration
    where migration.app = 'tasks'
    order by migration.name desc
    limit 1;
end
$$;

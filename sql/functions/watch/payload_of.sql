-- A watched row as it is shown: of users and storages what is no secret.
create or replace function lshookd.payload_of(relation text, source name, "row" json) returns json
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case relation
               when 'user' then json_build_object(
                   'id', "row" -> 'id',
                   'username', "row" -> 'username',
                   'email', "row" -> 'email',
                   'first_name', "row" -> 'first_name',
                   'last_name', "row" -> 'last_name',
                   'is_active', "row" -> 'is_active',
                   'active_organization', "row" -> 'active_organization_id',
                   'date_joined', "row" -> 'date_joined'
               )
               when 'storage' then json_build_object(
                   'id', coalesce("row" -> 'id', "row" -> (select key from json_object_keys("row") as key where key like '%\_ptr\_id')),
                   'type', substring(source from '^io_storages_(.*?)(?:import|export)?storage$'),
                   'direction', coalesce(substring(source from '(import|export)storage$'), 'import'),
                   'title', "row" -> 'title',
                   'description', "row" -> 'description',
                   'project', "row" -> 'project_id',
                   'created_at', "row" -> 'created_at',
                   'status', "row" -> 'status',
                   'last_sync', "row" -> 'last_sync',
                   'last_sync_count', "row" -> 'last_sync_count',
                   'last_sync_job', "row" -> 'last_sync_job'
               )
               else "row"
           end
$$;

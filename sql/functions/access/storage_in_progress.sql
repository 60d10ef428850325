-- Whether the storage that a task came from is being synchronized; null: it came from none. Label Studio keeps one
-- table of storages and one of their tasks for each kind; which there are, the catalog knows. Names are quoted by
-- format and nothing else goes into the text.
create or replace function lshookd.storage_in_progress(task bigint) returns boolean
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
declare
    kind             record;
    status           text;
    found_in_storage boolean;
begin
    if task is null then
        return null;
    end if;
    for kind in
        select storages.oid::regclass as storages,
               storage_key.attname as storage_key,
               links.oid::regclass as links,
               link_storage.attname as link_storage,
               link_task.attname as link_task
        from pg_constraint as to_task
        join pg_class as links on links.oid = to_task.conrelid
        join pg_attribute as link_task on link_task.attrelid = links.oid and array[link_task.attnum] = to_task.conkey
        join pg_constraint as to_storage on to_storage.conrelid = links.oid and to_storage.contype = 'f'
        join pg_class as storages on storages.oid = to_storage.confrelid
        join pg_attribute as link_storage
          on link_storage.attrelid = links.oid and array[link_storage.attnum] = to_storage.conkey
        join pg_attribute as storage_key
          on storage_key.attrelid = storages.oid and array[storage_key.attnum] = to_storage.confkey
        where to_task.contype = 'f'
          and to_task.confrelid = 'label_studio.task'::regclass
          and links.relname = storages.relname || 'link'
          and storages.relname like '%importstorage'
    loop
        begin
            -- Older versions of Label Studio have no status.
            if exists (
                select
                from pg_attribute
                where attrelid = kind.storages and attname = 'status' and not attisdropped
            ) then
                execute format(
                    'select true, storage.status from %s as link join %s as storage on storage.%I = link.%I '
                    'where link.%I = $1',
                    kind.links, kind.storages, kind.storage_key, kind.link_storage, kind.link_task
                ) into found_in_storage, status using task;
            else
                execute format('select true from %s as link where link.%I = $1', kind.links, kind.link_task)
                into found_in_storage using task;
            end if;
        exception when others then
            continue; -- A kind of storage that cannot be looked at tells nothing.
        end;
        if found_in_storage then
            return coalesce(status = 'in_progress', false);
        end if;
    end loop;
    return null;
end
$$;

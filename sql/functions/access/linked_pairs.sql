-- Reads a many-to-many field. The link table is known only from the catalog, so its names are quoted by format
-- and nothing else goes into the text; a table outside Label Studio's schema is not read.
create or replace function lshookd.linked_pairs(link oid, own text, other text, owners bigint[]) returns table (owner_id bigint, linked_id bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
declare
    is_empty boolean;
begin
    select link_table.relkind = 'r' and not link_table.relhassubclass and pg_relation_size(link_table.oid) = 0
    into is_empty
    from pg_class as link_table
    join pg_class as task on task.oid = 'label_studio.task'::regclass
    where link_table.oid = link and link_table.relnamespace = task.relnamespace;
    if not found then
        raise exception 'table % is not Label Studio''s', link::regclass;
    end if;
    -- Most of these tables are, and to plan the question takes longer than all else here.
    if is_empty then
        return;
    end if;
    -- Without order or groups, which would take longer to plan than to run.
    return query execute format(
        'select %1$I::bigint, %2$I::bigint from %3$s where %1$I = any ($1)',
        own, other, link::regclass
    ) using owners;
end
$$;

-- Label links as their columns stand, and the label of each.
create or replace function lshookd.label_link_rows(ids bigint[]) returns table (id bigint, parent bigint, "row" text)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select link.id::bigint, link.label_id::bigint, row_to_json(link)::text
    from label_studio.labels_manager_labellink as link
    where link.id = any (ids);
end
$$;

-- Reads a many-to-many field. The link table is known only from the catalog, so its names are
-- quoted by format and nothing else goes into the text.
create function lshookd.linked_ids(link oid, own text, other text, owners bigint[])
    returns table (owner_id bigint, linked bigint[])
    language plpgsql
    stable
as $$
begin
    return query execute pg_catalog.format(
        'select %1$I::bigint, array_agg(%2$I::bigint order by %2$I) from %3$s where %1$I = any ($1) group by %1$I',
        own, other, link::regclass
    ) using owners;
end
$$;

-- Changes whenever what catalog_columns.sql and catalog_links.sql read of the same tables ($1) does, for a small part of
-- their time: whatever alters a column or a constraint writes its row in the catalog anew, by another transaction.
with relation as materialized (
    select pg_class.oid, pg_class.relname
    from lshookd.label_studio
    join pg_class on pg_class.relnamespace = label_studio.oid
    where pg_class.relkind in ('r', 'p')
      -- Themselves, and link tables, which are named for one of them.
      and exists (
          select
          from unnest($1::text[]) as shown (name)
          where pg_class.relname = shown.name or starts_with(pg_class.relname::text, shown.name || '_')
      )
)
select (select coalesce(sum(hashtext(oid || ' ' || relname)::bigint), 0)::bigint from relation) as relations,
       (
           select coalesce(sum(attribute.xmin::text::bigint), 0)::bigint
           from pg_attribute as attribute
           where attribute.attrelid = any (array(select oid from relation))
       ) as columns,
       (
           select coalesce(sum(reference.xmin::text::bigint), 0)::bigint
           from pg_constraint as reference
           where reference.conrelid = any (array(select oid from relation))
       ) as constraints;

-- The columns of the tables that payloads are made of ($1): which hold a moment or a floating-point number,
-- and which refer to another table.
select relation.relname::text as relation,
       attribute.attname::text as name,
       attribute.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype) as is_moment,
       attribute.atttypid in ('float8'::regtype, 'float4'::regtype) as is_float,
       exists (
           select
           from pg_constraint as reference
           where reference.conrelid = relation.oid
             and reference.contype = 'f'
             and reference.conkey = array[attribute.attnum]
       ) as is_reference
from lshookd.label_studio
join pg_class as relation on relation.relnamespace = label_studio.oid
join pg_attribute as attribute on attribute.attrelid = relation.oid
where relation.relname = any ($1::text[])
  and relation.relkind in ('r', 'p')
  and attribute.attnum > 0
  and not attribute.attisdropped
order by relation.relname, attribute.attnum;

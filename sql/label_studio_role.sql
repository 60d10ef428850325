-- Who owns Label Studio's tables, as words for psql.
select quote_literal(pg_get_userbyid(relowner)) as role,
       quote_literal($1::text) as schema
from pg_class
where oid = 'task'::regclass;

-- Our triggers on the tables of the search path, without those that somebody disabled.
select coalesce(array_agg(tgname::text), '{}') as names
from pg_trigger
where tgname like 'lshookd\_%'
  and tgenabled in ('O', 'A')
  and pg_table_is_visible(tgrelid);

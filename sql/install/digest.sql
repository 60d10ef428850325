-- What our schema holds, in short: tables and their columns, functions, views, and who may use them.
select md5(coalesce(string_agg(piece, ' ' order by piece), '')) as digest
from (
    select pg_get_functiondef(function.oid) || coalesce(function.proacl::text, '') || pg_get_userbyid(function.proowner) as piece
    from pg_proc as function
    join pg_namespace as namespace on namespace.oid = function.pronamespace
    where namespace.nspname = 'lshookd'
    union all
    select relation.relname || coalesce(pg_get_viewdef(relation.oid), '') || coalesce(relation.relacl::text, '')
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where namespace.nspname = 'lshookd' and relation.relkind in ('r', 'v')
    union all
    select pg_get_triggerdef(trigger.oid) || trigger.tgenabled::text
    from pg_trigger as trigger
    where trigger.tgname like 'lshookd\_%'
) as object;

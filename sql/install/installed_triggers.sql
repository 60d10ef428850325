-- Our triggers on the tables of the schema $1: each with its definition, and whether it is enabled; and which of the
-- tables $2 are there.
select array(
           select lower(pg_get_triggerdef(trigger.oid)) || ' ' || trigger.tgenabled::text
           from pg_trigger as trigger
           join pg_class as class on class.oid = trigger.tgrelid
           join pg_namespace as namespace on namespace.oid = class.relnamespace
           where namespace.nspname = $1::text
             and trigger.tgname like 'lshookd\_%'
             and not trigger.tgisinternal
       ) as triggers,
       array(
           select class.relname::text
           from pg_class as class
           join pg_namespace as namespace on namespace.oid = class.relnamespace
           where namespace.nspname = $1::text
             and class.relname = any ($2::text[])
       ) as relations;

-- Where Label Studio's tables are: in the schema of the table that capture watches.
create or replace view lshookd.label_studio as
select namespace.oid, namespace.nspname as name
from pg_catalog.pg_trigger as trigger
join pg_catalog.pg_class as task on task.oid = trigger.tgrelid
join pg_catalog.pg_namespace as namespace on namespace.oid = task.relnamespace
join pg_catalog.pg_proc as capture on capture.oid = trigger.tgfoid
where trigger.tgname = 'lshookd_task_insert'
  and capture.proname = 'capture_task_insert'
  and capture.pronamespace = 'lshookd'::pg_catalog.regnamespace;

comment on view lshookd.label_studio is
    'The schema of Label Studio''s tables.';

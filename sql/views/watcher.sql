-- Watching functions that are there, each with how many tables it watches.
create or replace view lshookd.watcher as
select watcher.proname as name,
       count(trigger.oid) filter (where trigger.tgenabled in ('O', 'A')) as triggers
from pg_proc as watcher
left join pg_trigger as trigger on trigger.tgfoid = watcher.oid
where watcher.pronamespace = 'lshookd'::regnamespace
  and watcher.proname like 'watches\_%'
  and watcher.prorettype = 'trigger'::regtype
group by watcher.proname;

comment on view lshookd.watcher is
    'The watching triggers that there are.';

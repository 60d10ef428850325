-- The watching triggers that are wanted now.
create or replace view lshookd.watch as
select distinct
       format('watches_%s_%s', class.relname, need.operation) as name,
       need.relation,
       need.operation,
       class.oid as target,
       (
           -- Not always "id": a model of Django's that extends another has the other's key.
           select attribute.attname
           from pg_index as key
           join pg_attribute as attribute on attribute.attrelid = key.indrelid and attribute.attnum = key.indkey[0]
           where key.indrelid = class.oid and key.indisprimary
       ) as key
from lshookd.watch_need as need
cross join lateral lshookd.tables_of(need.relation) as target (oid)
join pg_class as class on class.oid = target.oid
where need.purpose in (select action from lshookd.chosen_action)
   or (need.purpose = 'enrich_deletions' and exists (select from lshookd.payload_option where enrich_deletions))
   or (need.purpose = 'previous' and exists (select from lshookd.payload_option where previous));

comment on view lshookd.watch is
    'The watching triggers that the chosen actions and payload options take.';

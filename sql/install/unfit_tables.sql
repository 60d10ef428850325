-- Tables of Label Studio's that capture cannot watch or that are not what Label Studio makes: each with the reason.
-- Statement triggers of a partitioned table do not see what is written to its partitions, nor those of a parent what
-- is written to its children. A view, or a key of a type that is not PostgreSQL's own, runs code of its maker's.
with label_studio_table as (
    select wanted.name, class.oid, class.relkind, class.relowner, class.relrowsecurity, class.relispartition
    from unnest(array['project', 'task', 'task_completion', 'labels_manager_label', 'labels_manager_labellink',
                      'webhook', 'webhook_action', 'prediction']) as wanted (name)
    join pg_namespace as namespace on namespace.nspname = $1::text
    join pg_class as class on class.relnamespace = namespace.oid and class.relname = wanted.name
)
select name as relation,
       case
           when relkind = 'p' then 'it is partitioned'
           when relkind <> 'r' then 'it is no table'
       end as reason,
       true as is_fatal
from label_studio_table
where relkind <> 'r'
union all
select name, 'other tables inherit from it', true
from label_studio_table
where relkind = 'r' and exists (select from pg_inherits where inhparent = label_studio_table.oid)
union all
select name, 'it is a partition of another table', false
from label_studio_table
where relispartition
union all
select name, 'row-level security is enabled, and lshookd cannot see all of its rows', false
from label_studio_table
where relrowsecurity
union all
select name, format('its column %s is of type %s', attribute.attname, attribute.atttypid::regtype), true
from label_studio_table
join pg_attribute as attribute on attribute.attrelid = label_studio_table.oid
join pg_type as type on type.oid = attribute.atttypid
where attribute.attname in ('id', 'project_id', 'task_id', 'organization_id', 'label_id', 'webhook_id')
  and attribute.attnum > 0
  and not attribute.attisdropped
  and type.oid not in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
union all
select name, format('it belongs to %s, and the table task to %s', pg_get_userbyid(relowner), pg_get_userbyid(task.owner)), false
from label_studio_table
cross join (select relowner as owner from label_studio_table where name = 'task') as task
where relowner <> task.owner
order by relation, reason;

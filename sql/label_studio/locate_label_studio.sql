-- The schemas that hold some of Label Studio's tables, the most complete first, and what each
-- of them lacks of those without which there is nothing to announce.
select namespace.nspname::text as schema,
       array(
           select wanted.name
           from unnest(array['project', 'task', 'task_completion', 'webhook', 'webhook_action']) as wanted (name)
           where not exists (
               select
               from pg_class as relation
               where relation.relnamespace = namespace.oid
                 and relation.relname = wanted.name
                 and relation.relkind in ('r', 'p')
           )
           order by wanted.name
       ) as missing
from pg_namespace as namespace
where exists (
    select
    from pg_class as relation
    where relation.relnamespace = namespace.oid
      and relation.relname in ('task_completion', 'labels_manager_labellink', 'webhook_action')
      and relation.relkind in ('r', 'p')
)
order by (
             select count(*)
             from pg_class as relation
             where relation.relnamespace = namespace.oid
               and relation.relname in ('project', 'task', 'task_completion', 'webhook', 'webhook_action')
         ) desc,
         namespace.nspname;

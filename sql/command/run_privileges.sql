-- What the role lacks that the daemon runs as: that of the session which plans, or while there is
-- none the current one.
with daemon as (
    select coalesce(
               (
                   select activity.usename
                   from pg_locks as held
                   join pg_stat_activity as activity on activity.pid = held.pid
                   where held.locktype = 'advisory'
                     and held.classid = 1819503723
                     and held.objid = 2
                     and held.granted
                     and held.database = (select oid from pg_database where datname = current_database())
                   limit 1
               ),
               current_user
           ) as role
)
select role::text,
       array(
           select 'SELECT on ' || wanted.name
           from unnest(array['project', 'task', 'task_completion', 'webhook', 'webhook_action']) as wanted (name)
           where not has_table_privilege(role, to_regclass(wanted.name), 'select')
           union all
           select 'writing ' || ours.oid::regclass
           from pg_class as ours
           where ours.relnamespace = 'lshookd'::regnamespace
             and ours.relkind = 'r'
             and ours.relname <> 'migration'
             and not has_table_privilege(role, ours.oid, 'select, insert, update, delete')
       ) as lacking,
       pg_has_role(role, 'pg_read_all_stats', 'usage')
           or coalesce(pg_has_role(role, (select relowner from pg_class where oid = to_regclass('task')), 'usage'), false)
           as sees_activity
from daemon;

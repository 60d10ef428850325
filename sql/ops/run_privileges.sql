-- What the role lacks that the daemon runs as: that of the session which plans, or while there is none the current one.
with planner as (
    select activity.usename as role
    from lshookd.active_role
    join pg_stat_activity as activity on activity.pid = active_role.backend
    where active_role.role = 'planner'
      and active_role.beat_at > statement_timestamp() - interval '30 seconds'
      and activity.application_name = 'lshookd'
    limit 1
),
daemon as (
    select coalesce((select planner.role from planner), current_user) as role
)
select role::text,
       exists (select from planner) as is_daemons,
       array(
           select 'calling ' || ours.oid::regprocedure
           from pg_proc as ours
           where ours.pronamespace = 'lshookd'::regnamespace
             and ours.proname in ('task_rows', 'project_rows', 'annotation_rows', 'webhook_rows', 'webhooks_of', 'task_projects')
             and not has_function_privilege(role, ours.oid, 'execute')
           union all
           select 'writing ' || ours.oid::regclass
           from pg_class as ours
           where ours.relnamespace = 'lshookd'::regnamespace
             and ours.relkind = 'r'
             and ours.relname not in ('migration', 'additional_action', 'watch_need')
             and not (
                 has_table_privilege(role, ours.oid, 'select')
                 and has_table_privilege(role, ours.oid, 'insert')
                 and has_table_privilege(role, ours.oid, 'update')
                 and has_table_privilege(role, ours.oid, 'delete')
             )
           union all
           select format('SELECT on table %I.%I (role %s)', label_studio.name, class.relname, pg_get_userbyid(reader.proowner))
           from lshookd.label_studio
           join pg_class as class on class.relnamespace = label_studio.oid
           join pg_proc as reader on reader.pronamespace = 'lshookd'::regnamespace and reader.proname = 'task_rows'
           where class.relname in ('project', 'task', 'task_completion', 'webhook', 'webhook_action')
             and not has_table_privilege(reader.proowner, class.oid, 'select')
       ) as lacking,
       pg_has_role(role, 'pg_read_all_stats', 'usage')
           or coalesce(
               pg_has_role(
                   role,
                   (
                       select class.relowner
                       from lshookd.label_studio
                       join pg_class as class on class.relnamespace = label_studio.oid and class.relname = 'task'
                   ),
                   'usage'
               ),
               false
           ) as sees_activity
from daemon;

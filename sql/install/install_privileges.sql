-- What the current role lacks for an installation beside the schema $1: a schema of our own, triggers on Label Studio's
-- tables, and to read these (by a role of its own, $2, where there is one).
with label_studio_table as (
    select wanted.name, class.oid
    from unnest(array['project', 'task', 'task_completion', 'prediction', 'labels_manager_label',
                      'labels_manager_labellink', 'webhook', 'webhook_action']) as wanted (name)
    join pg_namespace as namespace on namespace.nspname = $1::text
    join pg_class as class on class.relnamespace = namespace.oid and class.relname = wanted.name
)
select current_user::text as role,
       array(
           select 'CREATE on database ' || current_database()
           where to_regnamespace('lshookd') is null
             and not has_database_privilege(current_database(), 'create')
           union all
           select 'TRIGGER on table ' || name
           from label_studio_table
           where name not in ('prediction', 'webhook_action')
             and not has_table_privilege(oid, 'trigger')
           union all
           select 'SELECT on table ' || name || coalesce(' (role ' || $2::text || ')', '')
           from label_studio_table
           where not has_table_privilege(coalesce($2::text, current_user), oid, 'select')
       ) as lacking;

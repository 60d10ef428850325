-- What the current role lacks for an installation: a schema of our own, and triggers on
-- Label Studio's tables.
select current_user::text as role,
       array(
           select 'CREATE on database ' || current_database()
           where to_regnamespace('lshookd') is null
             and not has_database_privilege(current_database(), 'create')
           union all
           select 'TRIGGER on table ' || wanted.name
           from unnest(array['project', 'task', 'task_completion', 'labels_manager_labellink', 'webhook']) as wanted (name)
           where not has_table_privilege(to_regclass(wanted.name), 'trigger')
           union all
           select 'SELECT on table ' || wanted.name
           from unnest(array['project', 'task', 'task_completion', 'prediction', 'labels_manager_label',
                             'labels_manager_labellink', 'webhook', 'webhook_action']) as wanted (name)
           where not has_table_privilege(to_regclass(wanted.name), 'select')
       ) as lacking;

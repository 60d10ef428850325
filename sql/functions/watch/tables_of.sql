-- The tables of Label Studio that a relation is; none where its version does not have it.
create or replace function lshookd.tables_of(relation text) returns setof regclass
    language sql
    stable
    rows 2
    set search_path = pg_catalog, pg_temp
as $$
    select class.oid::regclass
    from lshookd.label_studio as studio
    join pg_class as class on class.relnamespace = studio.oid and class.relkind in ('r', 'p')
    where case relation
              when 'project' then class.relname = 'project'
              when 'task' then class.relname = 'task'
              when 'annotation' then class.relname = 'task_completion'
              when 'label_link' then class.relname = 'labels_manager_labellink'
              when 'prediction' then class.relname = 'prediction'
              when 'draft' then class.relname = 'tasks_annotationdraft'
              when 'label' then class.relname = 'labels_manager_label'
              when 'user' then class.relname = 'htx_user'
              when 'storage' then class.relname like 'io\_storages\_%storage' and exists (
                  select
                  from pg_attribute as attribute
                  where attribute.attrelid = class.oid
                    and attribute.attname = 'status'
                    and not attribute.attisdropped
              )
          end
$$;

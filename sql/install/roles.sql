-- Roles for lshookd, each with no more rights than it needs. Run this once by psql in Label Studio's database, as a
-- superuser or a role that may create roles and grant these rights; again after an upgrade of Label Studio that brings
-- new tables. Then "lshookd install" as the owner, and "lshookd run" as the daemon. Label Studio's own role needs
-- nothing new.
--
-- :name_owner    creates our schema and triggers on Label Studio's tables; the commands are run as it
-- :name          the daemon: writes our tables and calls our functions; reads nothing of Label Studio's itself
-- :name_capture  owns the functions of the triggers: adds changes, and reads what they need to know of our tables
-- :name_access   owns the functions that read Label Studio's tables and write its webhooks, and nothing else
-- :name_monitor  reads our views
\set ON_ERROR_STOP on
\set owner :name _owner
\set capture :name _capture
\set access :name _access
\set monitor :name _monitor

begin;

select format('create role %I %s', wanted.name, wanted.login)
from (
    values (:'owner', 'login'), (:'name', 'login'), (:'capture', 'nologin'), (:'access', 'nologin'), (:'monitor', 'nologin')
) as wanted (name, login)
where not exists (select from pg_roles where rolname = wanted.name)
\gexec
-- Give the first two passwords by \password, or let pg_hba.conf tell who they are.

-- The owner gives functions to these two, and replaces them.
grant :"capture", :"access" to :"owner";

select format('grant create on database %I to %I', current_database(), :'owner')
\gexec
grant usage on schema :"label_studio_schema" to :"owner", :"access";

-- What was installed before as another role, such as Label Studio's, becomes the owner's: the schema first, for whoever
-- owns a table must be able to create one in it. Functions go to their own roles with the next "lshookd install".
select format('grant %I to current_user', :'owner')
from pg_namespace
where nspname = 'lshookd' and nspowner <> :'owner'::regrole and not pg_has_role(:'owner', 'member')
\gexec
select format('alter %s %s owner to %I', object.kind, object.name, :'owner')
from (
    select 1 as place, 'schema' as kind, 'lshookd' as name
    from pg_namespace
    where nspname = 'lshookd' and nspowner <> :'owner'::regrole
    union all
    select 2, case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, oid::regclass::text
    from pg_class
    where relnamespace = to_regnamespace('lshookd')
      and relkind in ('r', 'v', 'S')
      and relowner <> :'owner'::regrole
      -- The sequence of a column goes with its table.
      and not exists (
          select from pg_depend
          where classid = 'pg_class'::regclass and objid = pg_class.oid and refobjsubid > 0 and deptype in ('a', 'i') and relkind = 'S'
      )
    union all
    select 3, 'function', oid::regprocedure::text
    from pg_proc
    where pronamespace = to_regnamespace('lshookd')
      and proowner not in (:'owner'::regrole, :'capture'::regrole, :'access'::regrole)
) as object
order by object.place
\gexec

-- Triggers on the tables that are captured or may be watched, and to read what payloads are made of.
select format('grant trigger on %I.%I to %I', :'label_studio_schema', relname, :'owner')
from pg_class
where relnamespace = to_regnamespace(quote_ident(:'label_studio_schema'))
  and relkind = 'r'
  and (
      relname in ('project', 'task', 'task_completion', 'prediction', 'tasks_annotationdraft', 'labels_manager_label',
                  'labels_manager_labellink', 'webhook', 'htx_user', 'django_migrations')
      or relname like 'io\_storages\_%storage'
  )
\gexec
select format('grant select on %I.%I to %I', :'label_studio_schema', relname, :'access')
from pg_class
where relnamespace = to_regnamespace(quote_ident(:'label_studio_schema'))
  and relkind = 'r'
  and relname in ('project', 'task', 'task_completion', 'prediction', 'labels_manager_label', 'labels_manager_labellink',
                  'webhook', 'webhook_action', 'django_migrations')
\gexec
-- Of the rest only columns: whose a user is, where ML backends are, and whether a storage is being synchronized.
select format('grant select (%s) on %I.%I to %I', string_agg(quote_ident(attname), ', '), :'label_studio_schema', relname, :'access')
from pg_class
join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where relnamespace = to_regnamespace(quote_ident(:'label_studio_schema'))
  and relkind = 'r'
  and case
          when relname = 'organization' then attname = 'id'
          when relname = 'ml_mlbackend' then attname in ('project_id', 'url')
          when relname = 'organizations_organizationmember' then attname in ('user_id', 'organization_id')
          when relname like 'io\_storages\_%importstorage' then attname in ('id', 'status') or attname like '%\_ptr\_id'
          when relname like 'io\_storages\_%importstoragelink' then attname in ('id', 'task_id', 'storage_id')
          else false
      end
group by relname
\gexec
-- Many-to-many fields are in tables of their own, which hold two keys.
select format('grant select on %I.%I to %I', :'label_studio_schema', link.relname, :'access')
from pg_class as link
where link.relnamespace = to_regnamespace(quote_ident(:'label_studio_schema'))
  and link.relkind = 'r'
  and (
      select count(*) from pg_attribute where attrelid = link.oid and attnum > 0 and not attisdropped
  ) = 3
  and exists (
      select
      from pg_constraint as reference
      join pg_class as target on target.oid = reference.confrelid
      where reference.conrelid = link.oid
        and reference.contype = 'f'
        and target.relname in ('project', 'task', 'task_completion', 'labels_manager_label', 'labels_manager_labellink')
        and starts_with(link.relname::text, target.relname::text || '_')
  )
\gexec

-- What the commands take that write Label Studio's own webhooks.
grant insert, update, delete on :"label_studio_schema".webhook, :"label_studio_schema".webhook_action to :"access";
select format('grant usage on sequence %s to %I', sequence, :'access')
from (
    values (pg_get_serial_sequence(format('%I.webhook', :'label_studio_schema'), 'id')),
           (pg_get_serial_sequence(format('%I.webhook_action', :'label_studio_schema'), 'id'))
) as identity (sequence)
where sequence is not null
\gexec

-- To see whether a connection is done.
grant pg_read_all_stats to :"name";

commit;

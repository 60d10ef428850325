-- Functions and views in our schema that are not among those of this version ($1 and $2), each as what drops it.
-- Watching functions come and go by themselves (watch_as_wanted).
select format('drop function lshookd.%I(%s) cascade', function.proname, pg_get_function_identity_arguments(function.oid))
           as statement,
       function.proname::text as name
from pg_proc as function
where function.pronamespace = 'lshookd'::regnamespace
  and function.proname <> all ($1::text[])
  and function.proname not like 'watches\_%'
union all
select format('drop view lshookd.%I cascade', view.relname),
       view.relname::text
from pg_class as view
where view.relnamespace = 'lshookd'::regnamespace
  and view.relkind = 'v'
  and view.relname <> all ($2::text[]);

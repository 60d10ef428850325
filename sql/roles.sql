-- Two roles for lshookd, with no more rights than they need. Run this once by psql as a superuser,
-- in Label Studio's database; then `lshookd install` as the owner and `lshookd run` as the daemon.
-- Label Studio's own role needs nothing new.
--
-- "owner" may create our schema and put triggers on Label Studio's tables. "daemon" may read these
-- tables, write our own, and see whether a connection is still at work.
\set ON_ERROR_STOP on

select format('create role %I login', name)
from (values (:'owner'), (:'daemon')) as wanted (name)
where to_regrole(quote_ident(name)) is null
\gexec
-- Give them passwords by \password, or let pg_hba.conf tell who they are.

select format('grant create on database %I to %I', current_database(), :'owner')
\gexec
grant usage on schema :"label_studio_schema" to :"owner", :"daemon";
grant select on all tables in schema :"label_studio_schema" to :"owner", :"daemon";
grant trigger on all tables in schema :"label_studio_schema" to :"owner";

-- What the commands of the operator take, that write Label Studio's own webhooks.
grant insert, update, delete
on :"label_studio_schema".webhook, :"label_studio_schema".webhook_action
to :"owner";
grant usage on all sequences in schema :"label_studio_schema" to :"owner";

-- What later versions of Label Studio bring along.
alter default privileges for role :"label_studio_role" in schema :"label_studio_schema"
    grant select on tables to :"owner", :"daemon";
alter default privileges for role :"label_studio_role" in schema :"label_studio_schema"
    grant trigger on tables to :"owner";

-- What the owner will make is the daemon's to use.
alter default privileges for role :"owner" grant usage on schemas to :"daemon";
alter default privileges for role :"owner" grant select, insert, update, delete on tables to :"daemon";
alter default privileges for role :"owner" grant usage on sequences to :"daemon";

grant pg_read_all_stats to :"daemon";

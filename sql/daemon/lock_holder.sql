-- The session that holds the advisory lock ($1, $2) of a role, and whether it can be lshookd's.
select held.pid,
       coalesce(activity.usename::text, 'unknown') as role,
       coalesce(host(activity.client_addr), 'local') as address,
       coalesce(activity.application_name, '') as application
from pg_locks as held
left join pg_stat_activity as activity on activity.pid = held.pid
where held.locktype = 'advisory'
  and held.classid = $1::integer::oid
  and held.objid = $2::integer::oid
  and held.granted
  and held.database = (select oid from pg_database where datname = current_database())
limit 1;

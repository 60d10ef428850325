-- Who does which part of the work: the advisory locks of the daemon's roles, and the sessions that
-- hold them.
select held.objid::integer as role,
       held.pid,
       coalesce(host(activity.client_addr), 'local') as address,
       activity.backend_start as since
from pg_locks as held
left join pg_stat_activity as activity on activity.pid = held.pid
where held.locktype = 'advisory'
  and held.classid = 1819503723
  and held.objid in (2, 3, 4)
  and held.granted
  and held.database = (select oid from pg_database where datname = current_database())
order by held.objid;

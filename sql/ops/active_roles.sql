-- Which daemon is active in which role: its heart beat within a minute, and its session is there. A hot standby sees
-- the beats alone, for the sessions are on its primary.
select active_role.role,
       active_role.backend as pid,
       coalesce(host(activity.client_addr), 'local') as address,
       active_role.since
from lshookd.active_role
left join lateral pg_stat_get_activity(active_role.backend) as activity on true
where active_role.beat_at > statement_timestamp() - interval '60 seconds'
  and (activity.pid is not null or pg_is_in_recovery())
order by active_role.role;

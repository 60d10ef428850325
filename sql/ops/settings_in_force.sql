-- The settings of the daemon that plans now.
select setting.key, setting.value, setting.origin
from lshookd.active_role
join lshookd.daemon_setting as setting on setting.holder = active_role.holder
where active_role.role = 'planner'
  and active_role.beat_at > statement_timestamp() - interval '60 seconds'
order by setting.key;


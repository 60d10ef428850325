-- Which of the given backends are there, and for how many seconds each has been idle.
select given.backend,
       case
           when activity.state = 'idle'
               then greatest(coalesce(extract(epoch from clock_timestamp() - activity.state_change)::float8, 0), 0)
           else 0
       end as idle
from unnest($1::integer[]) as given (backend)
cross join lateral pg_stat_get_activity(given.backend) as activity
where activity.pid is not null;

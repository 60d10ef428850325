-- What the backends are doing that have changes waiting. pg_stat_get_activity asks about one
-- backend without building the whole of pg_stat_activity; it has no row for one that is gone,
-- and no state for one that this role may not see (see pg_read_all_stats).
with writer (backend) as (
    select distinct backend
    from (select backend from lshookd.change order by seq limit 10000) as waiting
)
select writer.backend,
       case
           when activity.pid is null then 'gone'
           when activity.state is null or activity.state = 'disabled' then 'hidden'
           when activity.state = 'idle' then 'idle'
           else 'busy'
       end as state,
       coalesce(extract(epoch from clock_timestamp() - activity.state_change), 0)::float8 as idle_seconds,
       clock_timestamp() as now
from writer
left join lateral pg_stat_get_activity(writer.backend) as activity on true;

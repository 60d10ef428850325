-- Forgets daemons whose session is gone or whose heart has not beaten for $2 seconds, so that their lanes are anybody's,
-- and tells what one of those that are left ($1) needs to share lanes with the others: how many they are, whether it came
-- first, how many lanes it has more than its share of those that are due, and the webhooks that the first alone delivers,
-- for they limit how many requests there may be: in a second, or at once.
with gone as (
    delete from lshookd.active_role
    where role = 'deliverer'
      and holder <> $1::uuid
      and (
          beat_at < statement_timestamp() - $2::float8 * interval '1 second'
          -- A backend that began after the daemon did is another one, which got the process id of one that is gone.
          or not exists (
              select
              from pg_stat_get_activity(active_role.backend) as activity
              where coalesce(activity.backend_start <= active_role.since, activity.pid is not null)
          )
      )
    returning holder
),
deliverer as materialized (
    select holder, since
    from lshookd.active_role
    where role = 'deliverer'
      and holder not in (select holder from gone)
),
present as materialized (
    select count(*) as deliverers,
           (array_agg(holder order by since, holder))[1] = $1::uuid as is_first
    from deliverer
)
select present.deliverers,
       present.is_first,
       case
           when present.deliverers > 1 then (
               select count(*) filter (where holder = $1::uuid) - ceil(count(*)::numeric / present.deliverers)::bigint
               from lshookd.lane
               where due_at <= statement_timestamp()
           )
           else 0
       end as excess,
       case
           when present.deliverers > 1 then array(
               select webhook_id
               from lshookd.delivery_option
               where rate_limit is not null
                  or concurrency is not null
               union
               select lshookd.ml_backend_webhooks(null)
           )
       end as limited
from present;

-- What the connections are doing that have changes waiting, among the first $1 changes, and what these are.
--
-- pg_stat_get_activity asks about one backend without building the whole of pg_stat_activity; it has no row for one
-- that is gone, and no state for one that this role may not see (see pg_read_all_stats). A backend that began after
-- the changes were captured is another one, which got the process id of one that is gone.
--
-- First by what kind of change each connection made, for these are few: what there are many of is then only counted.
with waiting as (
    select * from lshookd.waiting_change order by seq limit $1::bigint
),
kind as (
    select backend,
           session,
           relation,
           operation,
           min(captured_at) as first_change_at,
           max(captured_at) as last_change_at,
           max(seq) as latest,
           count(*) as changes,
           sum(cardinality(ids)) as objects,
           bool_or(status = 'in_progress') as in_progress
    from waiting
    group by backend, session, relation, operation
),
writer as (
    select backend,
           session,
           min(first_change_at) as first_change_at,
           max(last_change_at) as last_change_at,
           sum(changes)::bigint as changes,
           sum(objects)::bigint as objects,
           -- An import, a storage's synchronization, a deletion in bulk, each with its annotations. What is watched
           -- beside it does not tell.
           bool_or(relation = 'task')
               and bool_and(
                   relation = 'task' or (relation = 'annotation' and operation <> 'update') or relation like 'watched\_%'
                   or relation = 'migration'
               ) as moves_tasks,
           bool_or(relation = 'watched_storage' and in_progress) as urgent,
           bool_or(relation = 'task' and operation = 'insert') as creates_tasks,
           max(latest) filter (where relation not like 'watched\_%') as latest
    from kind
    group by backend, session
)
select hashtextextended(writer.session, writer.backend) as connection,
       writer.backend,
       case
           when activity.pid is null or activity.backend_start > writer.last_change_at then 'gone'
           when activity.state is null or activity.state = 'disabled' then 'hidden'
           when activity.state = 'idle' then 'idle'
           else 'busy'
       end as state,
       -- In the future it is where the clock was set back since: nobody knows how long it is. By the clock of now: the state
       -- may have changed since this statement began, by which it would seem to have lasted for ever.
       case
           when clock_timestamp() < activity.state_change then 'infinity'
           else coalesce(extract(epoch from clock_timestamp() - activity.state_change)::float8, 0)
       end as seconds,
       activity.backend_start,
       coalesce(role.rolname::text, '') as role,
       coalesce(host(activity.client_addr), '') as address,
       coalesce(activity.application_name, '') as application,
       case
           when writer.creates_tasks then lshookd.storage_in_progress((
               select ids[1]
               from lshookd.change
               where seq = writer.latest and relation = 'task' and operation = 'insert' and cardinality(ids) = 1
           ))
       end as storage,
       writer.first_change_at,
       writer.last_change_at,
       writer.changes,
       writer.objects,
       writer.moves_tasks,
       coalesce(writer.urgent, false) as urgent,
       clock_timestamp() as now
from writer
left join lateral pg_stat_get_activity(writer.backend) as activity on true
left join pg_roles as role on role.oid = activity.usesysid;

-- The oldest changes that wait to be planned, $1 of them, in order; without those in $2.
--
-- What names no project of its own belongs to its tasks' projects ("homes", beside each id; -1 for none, null where it
-- is not known any more). Annotations that are
-- deleted with a task, or after it, are a consequence of that ("departed"): their task is in no project now, and none
-- of the waiting changes took it out of one after them.
with waiting as materialized (
    select *
    from lshookd.waiting_change
    where seq not in (select unnest($2::bigint[]))
    order by seq
    limit $1::bigint
),
asked as (
    select distinct parent.id
    from waiting
    cross join lateral unnest(waiting.parents) as parent (id)
    where parent.id is not null
      and case
              when waiting.relation = 'annotation' then waiting.operation = 'delete' or waiting.project_id is null
              else waiting.project_id is null
          end
),
task as materialized (
    select id, project_id
    from lshookd.task_projects((select coalesce(array_agg(id), '{}') from asked))
),
departure as materialized (
    select departed.id, max(change.seq) as seq
    from lshookd.waiting_change as change
    cross join lateral unnest(change.ids) as departed (id)
    where change.relation = 'task'
      and change.operation = 'delete'
      and departed.id in (select id from asked)
    group by departed.id
)
select waiting.seq,
       waiting.xid::text::bigint as transaction,
       hashtextextended(waiting.session, waiting.backend) as connection,
       waiting.captured_at,
       waiting.relation,
       waiting.operation,
       waiting.project_id,
       case
           when waiting.project_id is null then array(
               select case
                          when parent.id is null then -1
                          when parent.id in (select id from task) then (
                              select coalesce(task.project_id, -1) from task where task.id = parent.id
                          )
                          else (
                              select coalesce((deleted_row.image ->> 'project_id')::bigint, -1)
                              from lshookd.deleted_row
                              where deleted_row.relation = 'task'
                                and deleted_row.id = parent.id
                                and deleted_row.image is not null
                              limit 1
                          )
                      end
               from unnest(waiting.parents) with ordinality as parent (id, place)
               order by parent.place
           )
           else '{}'
       end as homes,
       waiting.ids,
       coalesce(waiting.parents, '{}') as parents,
       case
           when waiting.relation = 'annotation' and waiting.operation = 'delete' then array(
               select distinct parent.id
               from unnest(waiting.parents) as parent (id)
               where parent.id is not null
                 and not exists (select from task where task.id = parent.id and task.project_id is not null)
                 and not exists (
                     select from departure where departure.id = parent.id and departure.seq > waiting.seq
                 )
           )
           else '{}'
       end as departed,
       waiting.moved,
       waiting.bulk,
       waiting.by_label_studio,
       coalesce(waiting.columns, '{}') as columns,
       coalesce(waiting.became_true, '{}') as became_true,
       coalesce(waiting.became_false, '{}') as became_false,
       waiting.status
from waiting
order by waiting.seq;

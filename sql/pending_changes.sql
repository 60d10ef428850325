-- The oldest changes that wait to be planned. An annotation without a project of its own
-- belongs to its task's.
select change.seq,
       change.xid::text::bigint as transaction,
       change.backend,
       change.captured_at,
       change.relation,
       change.operation,
       coalesce(
           change.project_id,
           case when change.relation = 'annotation' then (
               select task.project_id::bigint from task where task.id = any (change.parents) limit 1
           ) end
       ) as project_id,
       change.ids,
       coalesce(change.parents, '{}') as parents,
       coalesce(change.detail, '{}') as detail
from lshookd.change
order by change.seq
limit $1;

-- Moves changes out of the planner's way.
with removed as (
    delete from lshookd.change
    where seq = any ($1::bigint[])
    returning seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail
)
insert into lshookd.change_set_aside
    (seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail, reason)
select seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail, $2::text
from removed;

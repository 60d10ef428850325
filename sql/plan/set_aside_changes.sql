-- Moves whole changes ($1) out of the planner's way, with the reason ($2).
with removed as (
    delete from lshookd.change
    where seq = any ($1::bigint[])
    returning *
)
insert into lshookd.change_set_aside
    (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
     by_label_studio, columns, became_true, became_false, status, reason)
select seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
       by_label_studio, columns, became_true, became_false, status, left($2::text, 2000)
from removed;

-- Makes room for some thousand changes, and for the errors of capture: a disk that is full then
-- fails Label Studio's own writes, and not the capture of one that still went through. To be rolled
-- back: the rows go, and the room stays.
with filler as (
    insert into lshookd.change (relation, operation, ids, parents)
    select 'filler', 'insert', array_fill(0::bigint, array[8]), array_fill(0::bigint, array[8])
    from generate_series(1, 5000)
),
noted as (
    insert into lshookd.recount (project_id, parts)
    select 0, '{0}'
    from generate_series(1, 5000)
)
insert into lshookd.capture_error (relation, operation, message)
select 'filler', 'insert', repeat('x', 100)
from generate_series(1, 500);

-- Gives all changes that were set aside back to the planner, in their old places; of parts of one change the
-- first. Returns how many they were.
create or replace function lshookd.requeue_set_aside() returns bigint
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    select lshookd.wake();
    with set_aside as (
        delete from lshookd.change_set_aside
        returning *
    ),
    placed as (
        select set_aside.*,
               row_number() over (partition by seq order by set_aside_id) = 1
                   and not exists (select from lshookd.change where change.seq = set_aside.seq) as in_place
        from set_aside
    ),
    requeued as (
        insert into lshookd.change
            (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
             by_label_studio, columns, became_true, became_false, status)
        overriding system value
        select case when in_place then seq else nextval('lshookd.change_seq_seq') end,
               xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
               by_label_studio, columns, became_true, became_false, status
        from placed
        returning seq
    ),
    oldest as (
        select min(seq) as seq, count(*) as quantity
        from requeued
    )
    -- The planner reads from there on again.
    select quantity
    from oldest
    where quantity = 0
       or setval('lshookd.change_floor', least(seq, (select coalesce(pg_sequence_last_value('lshookd.change_floor'), 0)))) >= 0
$$;

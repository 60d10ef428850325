-- Changes that could not be made into events.

-- As in lshookd.change, with the reason. They hold nobody up here, and nothing is lost.
create table lshookd.change_set_aside (
    like lshookd.change,
    set_aside_at  timestamptz not null default clock_timestamp(),
    reason        text        not null,
    primary key (seq)
);

comment on table lshookd.change_set_aside is
    'Changes that could not be made into events, and why. When the cause is mended: select lshookd.plan_again().';

-- Gives all of them back to the planner, in their old places; returns how many they were.
create function lshookd.plan_again() returns bigint
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    select lshookd.wake();
    with back as (
        delete from lshookd.change_set_aside
        returning seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail
    ),
    planned as (
        insert into lshookd.change
            (seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail)
        overriding system value
        select seq, xid, backend, captured_at, relation, operation, project_id, ids, parents, detail
        from back
        returning seq
    )
    select count(*) from planned
$$;

-- What room the queue has it keeps, so that capture goes on for a while when the disk is full;
-- see reserve_room.sql.
alter table lshookd.change set (vacuum_truncate = false);

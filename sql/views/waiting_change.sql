-- The changes that wait to be planned: what is in lshookd.change, read from where the planner has come to.
create or replace view lshookd.waiting_change as
select *
from lshookd.change
where seq >= (select coalesce(pg_sequence_last_value('lshookd.change_floor'::regclass), 0));

comment on view lshookd.waiting_change is
    'Changes that wait to be planned, read by an index from lshookd.change_floor on.';

-- Deletes rows that no change can need any more, neither one that waits nor one that was set aside.
with oldest as (
    select least(
               coalesce((select min(seq) from lshookd.waiting_change), 9223372036854775807),
               coalesce((select min(seq) from lshookd.change_set_aside), 9223372036854775807)
           ) as seq
),
watched as (
    delete from lshookd.watched_row
    using oldest
    where watched_row.up_to < oldest.seq
)
delete from lshookd.deleted_row
using oldest
where deleted_row.up_to < oldest.seq;

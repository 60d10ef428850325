-- Images that no waiting change can need any more.
with oldest as (
    select coalesce(min(seq), 9223372036854775807) as seq from lshookd.change
),
seen as (
    delete from lshookd.image
    using oldest
    where image.up_to < oldest.seq
)
delete from lshookd.last_image
using oldest
where last_image.up_to < oldest.seq;

-- Label links as their columns stand, or stood when they were deleted, and the label of each.
with present as materialized (
    select * from lshookd.label_link_rows($1::bigint[])
)
select id, parent, "row"
from present
union all
(
    select distinct on (id) id,
           (image ->> 'label_id')::bigint as parent,
           image::text as "row"
    from lshookd.deleted_row
    where relation = 'label_link'
      and id = any ($1::bigint[])
      and id not in (select id from present)
    order by id, up_to desc
);

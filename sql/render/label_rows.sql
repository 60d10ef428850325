-- Labels as their columns stand, or stood when they were deleted, with the two fields that Label Studio's
-- LabelSerializer adds: the links to the label, and the projects that they lead to.
with present as materialized (
    select * from lshookd.label_rows($1::bigint[])
)
select id, "row", links, projects
from present
union all
(
    select distinct on (id) id,
           image::text as "row",
           '{}'::bigint[] as links,
           '{}'::bigint[] as projects
    from lshookd.deleted_row
    where relation = 'label'
      and id = any ($1::bigint[])
      and id not in (select id from present)
    order by id, up_to desc
);

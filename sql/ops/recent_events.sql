-- The newest events of some actions, or of all, with their bodies.
select action,
       project_id,
       object_count,
       body
from lshookd.event
where body is not null
  and (cardinality($1::text[]) = 0 or action = any ($1::text[]))
order by id desc
limit $2::bigint;

-- The pending delivery of a webhook ($1) that is so many ($4) before another ($2, $3), or before the end, in the order of
-- projects and numbers, if there are more than so many.
select project_id, id
from lshookd.delivery
where webhook_id = $1::bigint
  and state = 'pending'
  and ($2::bigint is null or (project_id, id) < ($2, $3::bigint))
order by project_id desc, id desc
offset $4::bigint
limit 1;

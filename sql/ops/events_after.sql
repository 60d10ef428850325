-- Events after one, in order.
select id, action, project_id, object_count, occurred_at, coalesce(body, format('{"action": %s}', to_json(action))) as body
from lshookd.event
where id > $1
  and ($2::bigint is null or project_id = $2)
  and ($3::text is null or action = $3)
order by id
limit 100;

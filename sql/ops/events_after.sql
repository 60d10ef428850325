-- Events after one, in order: of a project or of all, of some actions or of all.
select id, action, project_id, object_count, occurred_at, coalesce(body, format('{"action": %s}', to_json(action))) as body
from lshookd.event
where id > $1
  and ($2::bigint is null or project_id = $2)
  and (cardinality($3::text[]) = 0 or action = any ($3::text[]))
order by id
limit 100;

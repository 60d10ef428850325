-- Tasks as their columns stand.
select id::bigint as id,
       row_to_json(task)::text as row
from task
where id = any ($1::bigint[]);

-- Annotations as their columns stand, and the task of each.
select id::bigint as id,
       task_id::bigint as parent,
       row_to_json(task_completion)::text as row
from task_completion
where id = any ($1::bigint[]);

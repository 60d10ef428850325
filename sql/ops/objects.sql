-- Objects that a webhook concerns, of one kind ($1: project, task, annotation or label_link) and perhaps one project
-- ($3), after the id $4 in ascending order, or the newest first with $6.
select project_id, id
from lshookd.webhook_objects($1::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::boolean);

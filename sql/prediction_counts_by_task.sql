-- How many predictions the tasks of each project have, in versions of Label Studio whose
-- predictions do not name their project.
select task.project_id::bigint as id,
       count(*) as predictions
from prediction
join task on task.id = prediction.task_id
where task.project_id = any ($1::bigint[])
group by task.project_id;

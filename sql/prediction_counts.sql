-- How many predictions the tasks of each project have.
select project_id::bigint as id,
       count(*) as predictions
from prediction
where project_id = any ($1::bigint[])
group by project_id;

-- There is something to do in these projects again.
delete from lshookd.completed_project
where project_id = any ($1::bigint[]);

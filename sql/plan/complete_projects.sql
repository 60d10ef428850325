-- Remembers those of the given projects that are completed now and were not before: each has tasks, and all of them
-- are labeled.
insert into lshookd.completed_project (project_id)
select labeled.project_id
from lshookd.labeled_projects($1::bigint[]) as labeled (project_id)
on conflict do nothing
returning project_id;

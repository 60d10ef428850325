-- Remembers those of the given projects that are completed now and were not before: each has
-- tasks, and all of them are labeled.
insert into lshookd.completed_project (project_id)
select given.project_id
from unnest($1::bigint[]) as given (project_id)
where exists (select from task where task.project_id = given.project_id)
  and not exists (select from task where task.project_id = given.project_id and not task.is_labeled)
on conflict do nothing
returning project_id;

-- Project 1 gets a million tasks and as many annotations. Indexes are taken away and made again, which is
-- faster than filling them row by row.
set maintenance_work_mem = '1GB';
set synchronous_commit = off;

create table saved_index as
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
from pg_index
where indrelid in ('task'::regclass, 'task_completion'::regclass)
  and not indisprimary
  and not exists (select from pg_constraint where conindid = indexrelid);

do $$
declare
    saved text;
begin
    for saved in select name from saved_index loop
        execute format('drop index %s', saved);
    end loop;
    perform fixture.rows('task', '{"project_id": 1, "data": {"text": "An owl calls in the night."}}', 1000000);
    perform fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": [{"value": {"choices": ["owl"]}}]}', 1000000);
    -- Each task has its own.
    update task_completion set task_id = 1000 + id where id <= 1000000;
    -- Else the checks of references wait for the end, and indexes with them.
    set constraints all immediate;
    for saved in select definition from saved_index loop
        execute saved;
    end loop;
end
$$;

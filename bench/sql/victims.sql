-- Tasks to be deleted, and a sequence that tells whose turn it is: two hundred at a time, after the
-- thousand that are there.
select fixture.rows('task', '{"project_id": 1}', 260000);
create sequence victim start 6;
analyze task;

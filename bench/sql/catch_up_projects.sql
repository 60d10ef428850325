-- Projects 2 to 32, each with a task.
select fixture.rows('project', '{"title": "Fish", "organization_id": 1, "created_by_id": 1}', 31);
select fixture.rows('task', jsonb_build_object('project_id', id)) from project where id > 1;

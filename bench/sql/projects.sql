-- So many projects, each with a task, an annotation and a webhook on its own path.
with made as (
    select unnest(fixture.rows('project', '{"title": "Birds", "organization_id": 1}', current_setting('bench.projects')::integer)) as id
),
task_of as (
    select made.id as project_id, (fixture.rows('task', jsonb_build_object('project_id', made.id)))[1] as id from made
),
annotation_of as (
    select fixture.rows('task_completion', jsonb_build_object('project_id', project_id, 'task_id', id)) as id from task_of
),
webhook_of as (
    select fixture.rows('webhook', jsonb_build_object(
        'url', current_setting('bench.url') || project_id, 'organization_id', 1, 'project_id', project_id,
        'is_active', true, 'send_payload', true, 'send_for_all_actions', true
    )) as id
    from task_of
)
select (select count(*) from annotation_of), (select count(*) from webhook_of);

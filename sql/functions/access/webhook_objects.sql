-- Objects that a webhook concerns, of one kind (project, task, annotation or label_link) and perhaps of one
-- project, after an id: in ascending order, or the newest first.
create or replace function lshookd.webhook_objects(kind text, webhook_id bigint, only_project bigint, after_id bigint, maximum bigint, newest_first boolean) returns table (project_id bigint, id bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    with concerned as (
        select project.id
        from label_studio.webhook as webhook
        join label_studio.project as project on project.id = webhook.project_id
            or (webhook.project_id is null and project.organization_id = webhook.organization_id)
        where webhook.id = webhook_objects.webhook_id
          and (only_project is null or project.id = only_project)
    ),
    object (project_id, id) as (
        select concerned.id::bigint, concerned.id::bigint
        from concerned
        where kind = 'project' and concerned.id > after_id
        union all
        select task.project_id::bigint, task.id::bigint
        from label_studio.task as task
        where kind = 'task' and task.id > after_id and task.project_id in (select concerned.id from concerned)
        union all
        select task.project_id::bigint, annotation.id::bigint
        from label_studio.task_completion as annotation
        join label_studio.task as task on task.id = annotation.task_id
        where kind = 'annotation'
          and annotation.id > after_id
          and task.project_id in (select concerned.id from concerned)
        union all
        select link.project_id::bigint, link.id::bigint
        from label_studio.labels_manager_labellink as link
        where kind = 'label_link' and link.id > after_id and link.project_id in (select concerned.id from concerned)
    )
    select object.project_id, object.id
    from object
    order by case when newest_first then -object.id else object.id end
    limit maximum;
end
$$;

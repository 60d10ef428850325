-- The webhooks that belong to the given projects, and those of the given organizations that belong to no project.
create or replace function lshookd.webhooks_of(projects bigint[], organizations bigint[]) returns table (
        id bigint,
        organization_id bigint,
        project_id bigint,
        send_payload boolean,
        send_for_all_actions boolean,
        is_active boolean,
        actions text[]
    )
    language plpgsql
    stable
    rows 10
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    -- Two questions, for each of which there is an index.
    return query
    select webhook.id::bigint,
           webhook.organization_id::bigint,
           webhook.project_id::bigint,
           webhook.send_payload,
           webhook.send_for_all_actions,
           webhook.is_active,
           array(
               select webhook_action.action::text
               from label_studio.webhook_action as webhook_action
               where webhook_action.webhook_id = webhook.id
           )
    from (
        select * from label_studio.webhook as of_project where of_project.project_id = any (projects)
        union all
        select *
        from label_studio.webhook as of_organization
        where of_organization.project_id is null
          and of_organization.organization_id = any (organizations)
    ) as webhook;
end
$$;

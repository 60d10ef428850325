-- Creates a webhook as Label Studio would, of a project or of an organization; with null for the actions, for all of them.
create or replace function lshookd.create_webhook(organization bigint, project bigint, url text, send_payload boolean, chosen text[], headers jsonb, active boolean) returns bigint
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
declare
    created bigint;
begin
    insert into label_studio.webhook as webhook
        (organization_id, project_id, url, send_payload, send_for_all_actions, headers, is_active, created_at, updated_at)
    values (organization, project, create_webhook.url, create_webhook.send_payload, chosen is null, create_webhook.headers,
            active, clock_timestamp(), clock_timestamp())
    returning webhook.id into created;
    insert into label_studio.webhook_action (webhook_id, action)
    select created, given.action
    from unnest(chosen) as given (action);
    return created;
end
$$;

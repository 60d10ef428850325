-- Label Studio's webhooks, those given or with null all of them, each with the actions that it has chosen. Headers
-- are as they are written: whatever JSON that is.
create or replace function lshookd.webhook_rows(ids bigint[]) returns table (
        id bigint,
        organization_id bigint,
        project_id bigint,
        url text,
        headers jsonb,
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
    -- Of all, both tables are read once.
    if ids is null then
        return query
        select webhook.id::bigint,
               webhook.organization_id::bigint,
               webhook.project_id::bigint,
               webhook.url::text,
               webhook.headers::jsonb,
               webhook.send_payload,
               webhook.send_for_all_actions,
               webhook.is_active,
               coalesce(chosen.actions, '{}')
        from label_studio.webhook as webhook
        left join (
            select webhook_action.webhook_id, array_agg(webhook_action.action::text order by webhook_action.action) as actions
            from label_studio.webhook_action as webhook_action
            group by webhook_action.webhook_id
        ) as chosen on chosen.webhook_id = webhook.id;
        return;
    end if;
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint,
           webhook.organization_id::bigint,
           webhook.project_id::bigint,
           webhook.url::text,
           webhook.headers::jsonb,
           webhook.send_payload,
           webhook.send_for_all_actions,
           webhook.is_active,
           array(
               select webhook_action.action::text
               from label_studio.webhook_action as webhook_action
               where webhook_action.webhook_id = webhook.id
               order by webhook_action.action
           )
    from label_studio.webhook as webhook
    where webhook.id = any (ids);
end
$$;

-- Changes of a webhook what is not null, as Label Studio would. With every_action it has no choice of its own any more;
-- a choice takes the place of what was chosen before. Whether there is such a webhook.
create or replace function lshookd.update_webhook(webhook bigint, url text, headers jsonb, send_payload boolean, every_action boolean, chosen text[], active boolean) returns boolean
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    update label_studio.webhook as changed
    set url = coalesce(update_webhook.url, changed.url),
        headers = coalesce(update_webhook.headers, changed.headers::jsonb),
        send_payload = coalesce(update_webhook.send_payload, changed.send_payload),
        send_for_all_actions = coalesce(every_action, chosen is null and changed.send_for_all_actions),
        is_active = coalesce(active, changed.is_active),
        updated_at = clock_timestamp()
    where changed.id = update_webhook.webhook;
    if not found then
        return false;
    end if;
    if every_action or chosen is not null then
        delete from label_studio.webhook_action as webhook_action
        where webhook_action.webhook_id = update_webhook.webhook;
        insert into label_studio.webhook_action (webhook_id, action)
        select update_webhook.webhook, given.action
        from unnest(chosen) as given (action);
    end if;
    return true;
end
$$;

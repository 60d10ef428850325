-- Deletes webhooks, with the actions that each has chosen; those that were there.
create or replace function lshookd.delete_webhooks(ids bigint[]) returns setof bigint
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    delete from label_studio.webhook_action as webhook_action
    where webhook_action.webhook_id = any (ids);
    return query
    delete from label_studio.webhook as webhook
    where webhook.id = any (ids)
    returning webhook.id::bigint;
end
$$;

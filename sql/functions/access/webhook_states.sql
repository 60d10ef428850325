-- Which webhooks there are, and whether Label Studio has each as active.
create or replace function lshookd.webhook_states() returns table (id bigint, is_active boolean)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query select webhook.id::bigint, webhook.is_active from label_studio.webhook as webhook;
end
$$;

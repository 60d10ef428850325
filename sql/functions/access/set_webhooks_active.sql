-- Sets whether Label Studio delivers webhooks; those that were there.
create or replace function lshookd.set_webhooks_active(ids bigint[], active boolean) returns setof bigint
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    update label_studio.webhook as webhook
    set is_active = active,
        updated_at = clock_timestamp()
    where webhook.id = any (ids)
    returning webhook.id::bigint;
end
$$;

-- Which of the given webhooks are there; with null all.
create or replace function lshookd.webhook_ids(ids bigint[]) returns setof bigint
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint
    from label_studio.webhook as webhook
    where webhook.id = any (coalesce(ids, array(select every.id::bigint from label_studio.webhook as every)));
end
$$;

-- Which of the given webhooks are there; with null all.
create or replace function lshookd.webhook_ids(ids bigint[]) returns setof bigint
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select webhook.id::bigint
    from label_studio.webhook as webhook
    where ids is null or webhook.id = any (ids);
end
$$;

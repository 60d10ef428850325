-- Of webhooks, or with null of all, those of ML backends: Label Studio creates one for each, at the URL of the backend and
-- /webhook (create_ml_webhook in its ml/models.py). It tells how long an answer may take and nothing else: whatever is
-- wrong with the table, or that it is not there, must not hold up a delivery, and then there are none.
create or replace function lshookd.ml_backend_webhooks(ids bigint[]) returns setof bigint
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
        select distinct webhook.id::bigint
        from label_studio.ml_mlbackend as backend
        join label_studio.webhook as webhook
          on webhook.project_id = backend.project_id and webhook.url::text = rtrim(backend.url::text, '/') || '/webhook';
        return;
    end if;
    -- By the index where some are given: each lane asks for its own.
    return query
    select webhook.id::bigint
    from label_studio.webhook as webhook
    where webhook.id = any (ids)
      and exists (
          select
          from label_studio.ml_mlbackend as backend
          where backend.project_id = webhook.project_id
            and rtrim(backend.url::text, '/') || '/webhook' = webhook.url::text
      );
exception when others then
    return;
end
$$;

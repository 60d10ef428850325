-- Notes the moment at which an adopted webhook was activated in Label Studio, in the transaction that does so.
create or replace function lshookd.capture_webhook_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    update lshookd.adoption
    set released_at = clock_timestamp(),
        released_snapshot = pg_current_snapshot(),
        released_in_flight = lshookd.in_flight()
    from added
    where adoption.webhook_id = added.id
      and adoption.released_at is null
      and added.is_active;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

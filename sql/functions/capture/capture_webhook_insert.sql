-- Adopts an active webhook in the transaction that creates it, where the setting adopt_new of the active planner says
-- so: Label Studio never delivers it.
create or replace function lshookd.capture_webhook_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if new.is_active and exists (
        select
        from lshookd.active_role
        join lshookd.daemon_setting as setting on setting.holder = active_role.holder
        where active_role.role = 'planner'
          and setting.key = 'adopt_new'
          and setting.value = 'true'
    ) then
        insert into lshookd.adoption (webhook_id)
        values (new.id)
        on conflict do nothing;
        new.is_active := false;
    end if;
    return new;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return new;
end
$$;

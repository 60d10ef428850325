-- Whether a notification can do no harm: the server has no prepared transactions, which refuse to have
-- notified, and the queue of notifications is far from full.
create or replace function lshookd.may_notify() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select current_setting('max_prepared_transactions') = '0' and pg_notification_queue_usage() < 0.5
$$;

-- The transactions of unplanned changes whose connections are still open: what they are about is not done, and Label
-- Studio has not yet looked for webhooks to post it to.
create or replace function lshookd.in_flight() returns xid8[]
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(distinct change.xid), '{}')
    from lshookd.waiting_change as change
    where exists (select from pg_stat_get_activity(change.backend) as activity where activity.pid is not null)
$$;

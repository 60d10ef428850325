-- Makes lanes due at once: those of some webhooks, or with null all.
create or replace function lshookd.wake_lanes(webhooks bigint[]) returns void
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    update lshookd.lane
    set due_at = clock_timestamp()
    where due_at < 'infinity'
      and (webhooks is null or webhook_id = any (webhooks));
    select lshookd.announce_lanes()
$$;

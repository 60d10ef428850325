-- Makes lanes due at once: those of some webhooks, or with null all. They are locked in their fixed order, as where
-- attempts are recorded.
create or replace function lshookd.wake_lanes(webhooks bigint[]) returns void
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with waiting as materialized (
        select webhook_id, project_id
        from lshookd.lane
        where due_at < 'infinity'
          and (webhooks is null or webhook_id = any (webhooks))
        order by webhook_id, project_id
        for update
    )
    update lshookd.lane
    set due_at = clock_timestamp()
    from waiting
    where lane.webhook_id = waiting.webhook_id
      and lane.project_id = waiting.project_id;
    select lshookd.announce_lanes()
$$;

-- Closes lanes in which nothing is pending, but those that are to be kept open: they are not due again until an event
-- arrives. Lanes are locked in their fixed order, and before the look, which as a statement of its own sees all that was
-- committed until then: an event that arrives meanwhile is either seen or wakes the lane. All deliveries up to settled are
-- there, or will never be; what of them has ended is not looked through again. Where a lane is not closed this is written
-- only where it is worth a row's new version. Returns of each, by its place, whether nothing is pending.
create or replace function lshookd.close_lanes(
    webhook_ids bigint[], project_ids bigint[], keep_open boolean[], settled bigint
) returns table (place bigint, is_empty boolean)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform
    from unnest(close_lanes.webhook_ids, close_lanes.project_ids) as given (webhook_id, project_id)
    join lshookd.lane on lane.webhook_id = given.webhook_id and lane.project_id = given.project_id
    order by lane.webhook_id, lane.project_id
    for update of lane;
    return query
    with seen as materialized (
        select given.place,
               given.webhook_id,
               given.project_id,
               lane.ended_up_to as ended,
               oldest.id is null as is_empty,
               oldest.id is null and not given.keeps_open as closes,
               least(close_lanes.settled, oldest.id - 1) as ends_at
        from unnest(close_lanes.webhook_ids, close_lanes.project_ids, close_lanes.keep_open)
            with ordinality as given (webhook_id, project_id, keeps_open, place)
        left join lshookd.lane on lane.webhook_id = given.webhook_id and lane.project_id = given.project_id
        left join lateral (
            select delivery.id
            from lshookd.delivery
            where delivery.webhook_id = given.webhook_id
              and delivery.project_id = given.project_id
              and delivery.state = 'pending'
              and delivery.id > lane.ended_up_to
            order by delivery.id
            limit 1
        ) as oldest on true
    ),
    written as (
        update lshookd.lane
        set due_at = case when seen.closes then 'infinity' else lane.due_at end,
            holder = case when not seen.closes then lane.holder end,
            ended_up_to = greatest(seen.ended, seen.ends_at)
        from seen
        where lane.webhook_id = seen.webhook_id
          and lane.project_id = seen.project_id
          and (seen.closes or seen.ends_at > seen.ended + 1000)
    )
    select seen.place, seen.is_empty
    from seen;
end
$$;

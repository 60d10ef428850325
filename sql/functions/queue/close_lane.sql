-- Closes a lane in which nothing is pending, unless it is to be kept open: it is not due again until an event arrives. The
-- lane is locked before the look, so that an event which arrives meanwhile is either seen or wakes the lane. All
-- deliveries up to settled are there, or will never be; what of them has ended is not looked through again. Where the lane
-- is not closed this is written only where it is worth a row's new version. Returns whether nothing is pending.
create or replace function lshookd.close_lane(webhook_id bigint, project_id bigint, keeps_open boolean, settled bigint) returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    ended  bigint;
    oldest bigint;
    closes boolean;
begin
    select lane.ended_up_to into ended
    from lshookd.lane
    where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id
    for update;
    select delivery.id into oldest
    from lshookd.delivery
    where delivery.webhook_id = close_lane.webhook_id
      and delivery.project_id = close_lane.project_id
      and delivery.state = 'pending'
      and delivery.id > ended
    order by delivery.id
    limit 1;
    closes := oldest is null and not keeps_open;
    if closes or least(settled, oldest - 1) > ended + 1000 then
        update lshookd.lane
        set due_at = case when closes then 'infinity' else lane.due_at end,
            holder = case when not closes then lane.holder end,
            ended_up_to = greatest(ended, least(settled, oldest - 1))
        where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id;
    end if;
    return oldest is null;
end
$$;

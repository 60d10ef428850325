-- Closes a lane in which nothing is pending: it is not due again until an event arrives. The lane is locked before
-- the look, so that an event which arrives meanwhile is either seen or wakes the lane.
create or replace function lshookd.close_lane(webhook_id bigint, project_id bigint) returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform from lshookd.lane
    where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id
    for update;
    if exists (
        select from lshookd.delivery
        where delivery.webhook_id = close_lane.webhook_id
          and delivery.project_id = close_lane.project_id
          and delivery.state = 'pending'
    ) then
        return false;
    end if;
    update lshookd.lane set due_at = 'infinity', holder = null
    where lane.webhook_id = close_lane.webhook_id and lane.project_id = close_lane.project_id;
    return true;
end
$$;

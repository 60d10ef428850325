-- How far planning and delivery are behind. What is paused, replayed, or waits for a consumer
-- to pull it is no lag.
create or replace view lshookd.lag as
select (select count(*) from lshookd.change) as changes_unplanned,
       coalesce((select extract(epoch from clock_timestamp() - min(captured_at)) from lshookd.change), 0)::float8
           as oldest_change_seconds,
       (select count(*) from lshookd.delivery where state = 'pending') as deliveries_pending,
       coalesce(
           (
               select extract(epoch from clock_timestamp() - min(event.occurred_at))
               from (
                   select lane.webhook_id, lane.project_id, lane.ended_up_to
                   from lshookd.lane
                   where lane.due_at < 'infinity'
                     and not exists (
                         select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = lane.webhook_id
                     )
               ) as lane
               cross join lateral (
                   select delivery.event_id
                   from lshookd.delivery
                   where delivery.webhook_id = lane.webhook_id
                     and delivery.project_id = lane.project_id
                     and delivery.state = 'pending'
                     and delivery.schedule_from = 0
                     and delivery.id > lane.ended_up_to
                   order by delivery.id
                   limit 1
               ) as first
               join lshookd.event on event.id = first.event_id
           ),
           0
       )::float8 as oldest_delivery_seconds;

comment on view lshookd.lag is
    'One row: unplanned changes and pending deliveries, and the age of the oldest of each in seconds.';

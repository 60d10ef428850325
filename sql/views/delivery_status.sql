-- Deliveries by webhook and state.
create or replace view lshookd.delivery_status as
select delivery.webhook_id,
       count(*) filter (where delivery.state = 'pending') as pending,
       count(*) filter (where delivery.state = 'delivered') as delivered,
       count(*) filter (where delivery.state = 'dead') as dead,
       count(*) filter (where delivery.state = 'cancelled') as cancelled,
       count(*) filter (where delivery.state = 'skipped') as skipped,
       min(event.occurred_at) filter (where delivery.state = 'pending') as oldest_pending_at,
       max(delivery.ended_at) filter (where delivery.state = 'delivered') as last_delivered_at
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
group by delivery.webhook_id;

comment on view lshookd.delivery_status is
    'One row per webhook: how many deliveries are in which state, since when the oldest is pending (timestamps in the server''s clock).';

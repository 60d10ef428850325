-- Deliveries by webhook and state. Events are read of what is pending alone: most of the others are of long ago.
create or replace view lshookd.delivery_status as
select counted.webhook_id,
       counted.pending,
       counted.delivered,
       counted.dead,
       counted.cancelled,
       counted.skipped,
       oldest.occurred_at as oldest_pending_at,
       counted.last_delivered_at
from (
    select delivery.webhook_id,
           count(*) filter (where delivery.state = 'pending') as pending,
           count(*) filter (where delivery.state = 'delivered') as delivered,
           count(*) filter (where delivery.state = 'dead') as dead,
           count(*) filter (where delivery.state = 'cancelled') as cancelled,
           count(*) filter (where delivery.state = 'skipped') as skipped,
           max(delivery.ended_at) filter (where delivery.state = 'delivered') as last_delivered_at
    from lshookd.delivery
    group by delivery.webhook_id
) as counted
left join (
    select delivery.webhook_id, min(event.occurred_at) as occurred_at
    from lshookd.delivery
    join lshookd.event on event.id = delivery.event_id
    where delivery.state = 'pending'
    group by delivery.webhook_id
) as oldest on oldest.webhook_id = counted.webhook_id;

comment on view lshookd.delivery_status is
    'One row per webhook: how many deliveries are in which state, since when the oldest is pending (timestamps in the server''s clock).';

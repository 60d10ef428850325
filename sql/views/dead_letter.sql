-- Deliveries that are dead, with their last attempt.
create or replace view lshookd.dead_letter as
select delivery.id,
       delivery.message_id,
       delivery.webhook_id,
       delivery.project_id,
       event.action,
       event.object_count,
       event.occurred_at,
       delivery.attempts,
       delivery.ended_at as dead_since,
       attempt.status as last_status,
       attempt.error as last_error
from lshookd.delivery
join lshookd.event on event.id = delivery.event_id
left join lshookd.attempt on attempt.delivery_id = delivery.id and attempt.number = delivery.attempts
where delivery.state = 'dead';

comment on view lshookd.dead_letter is
    'One row per delivery without further attempts: select lshookd.replay(array[id]) replays it.';

-- Deletes events that were only stored for somebody who tapped them.
delete from lshookd.event
where tap_only
  and planned_at < statement_timestamp() - interval '1 hour'
  and not exists (select from lshookd.delivery where delivery.event_id = event.id);

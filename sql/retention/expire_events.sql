-- Deletes those of the given events that no delivery needs any more.
delete from lshookd.event
where id = any ($1::bigint[])
  and not exists (select from lshookd.delivery where delivery.event_id = event.id);

-- Makes the lanes of deleted webhooks due, so that what is pending for them is cancelled and waits for no retry.
update lshookd.lane
set due_at = clock_timestamp()
where due_at > clock_timestamp()
  and due_at < 'infinity'
  and webhook_id not in (select * from lshookd.webhook_ids(null));

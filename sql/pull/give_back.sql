-- Ends the leases of a webhook ($1) of which everything is acknowledged. Run after that is committed, so that of two
-- consumers' acknowledgements the later one sees both.
update lshookd.lease
set is_held = false,
    last_id = null,
    leased_until = clock_timestamp(),
    one_by_one = false
where webhook_id = $1::bigint
  and last_id is not null
  and not exists (
      select from lshookd.delivery
      where delivery.webhook_id = lease.webhook_id
        and delivery.project_id = lease.project_id
        and delivery.state = 'pending'
        and delivery.id <= lease.last_id
  );

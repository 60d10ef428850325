-- Ends the leases of a webhook ($1) of which everything is acknowledged. Run after a part of a lane was, when that is
-- committed: of two that acknowledge the rest at the same time, the later one sees both.
update lshookd.lease
set is_held = false,
    last_id = null,
    leased_until = clock_timestamp(),
    one_by_one = false
where webhook_id = $1::bigint
  and last_id is not null
  and not exists (
      select from lshookd.given_delivery as given
      where given.webhook_id = lease.webhook_id and given.project_id = lease.project_id
  );

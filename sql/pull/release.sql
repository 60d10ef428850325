-- Ends one lease ($2) of a webhook ($1), or with null all of them: what was not acknowledged is given again at
-- once, and counts as no failure.
update lshookd.lease
set is_held = false,
    leased_until = clock_timestamp()
where webhook_id = $1::bigint
  and is_held
  and coalesce(lease_id = $2::uuid, true);

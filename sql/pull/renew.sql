-- Keeps the lanes of a webhook ($1) that a lease ($2) has for another $3 seconds.
update lshookd.lease
set leased_until = clock_timestamp() + $3::float8 * interval '1 second'
where webhook_id = $1::bigint
  and lease_id = $2::uuid
  and is_held
  and leased_until > statement_timestamp();

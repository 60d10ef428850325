-- Notes when webhooks were released, should their table's trigger be disabled.
update lshookd.adoption
set released_at = clock_timestamp(),
    released_snapshot = pg_current_snapshot(),
    released_in_flight = lshookd.in_flight()
where webhook_id = any ($1::bigint[])
  and released_at is null;

-- Notes when webhooks were given back, should their table's trigger be disabled.
update lshookd.adoption
set released_at = clock_timestamp()
where webhook_id = any ($1::bigint[])
  and released_at is null;

-- Looks at a lane again after a pause.
update lshookd.lane
set due_at = clock_timestamp() + $3::float8 * interval '1 second'
where webhook_id = $1::bigint
  and project_id = $2::bigint;

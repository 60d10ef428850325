-- The heartbeat of a daemon ($1) that delivers. No row where others have forgotten it, and have its lanes.
update lshookd.active_role
set beat_at = clock_timestamp()
where role = 'deliverer'
  and holder = $1::uuid
  and backend = pg_backend_pid()
returning role;

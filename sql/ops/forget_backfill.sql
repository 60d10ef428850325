-- Ends unfinished backfills of the same kind.
update lshookd.backfill
set finished_at = clock_timestamp()
where webhook_id = $1
  and action = $2
  and project_id is not distinct from $3
  and finished_at is null;

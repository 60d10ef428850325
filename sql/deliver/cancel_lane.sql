-- Cancels what waits for a webhook that is deleted. The lane closes at its next turn.
update lshookd.delivery
set state = 'cancelled',
    ended_at = clock_timestamp()
where webhook_id = $1::bigint
  and project_id = $2::bigint
  and state = 'pending';

-- Makes every lane due that waits for a retry.
update lshookd.lane
set due_at = clock_timestamp()
where due_at > statement_timestamp()
  and due_at < 'infinity';

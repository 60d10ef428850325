-- Makes every lane due that waits to try again.
update lshookd.lane
set due_at = clock_timestamp()
where due_at > clock_timestamp()
  and due_at < 'infinity';

-- Makes every lane due that waits for a retry. They are locked in their fixed order, as where attempts are recorded.
with waiting as materialized (
    select webhook_id, project_id
    from lshookd.lane
    where due_at > statement_timestamp()
      and due_at < 'infinity'
    order by webhook_id, project_id
    for update
)
update lshookd.lane
set due_at = clock_timestamp()
from waiting
where lane.webhook_id = waiting.webhook_id
  and lane.project_id = waiting.project_id;

-- Lets a lane wait because of its webhook, which is paused or disabled, or because of a mistake of ours: until the time
-- is over or, for a webhook, until that has changed.
update lshookd.lane
set due_at = until.moment,
    holder = null,
    held_until = case when $4::boolean then until.moment end
from (select clock_timestamp() + $3::float8 * interval '1 second' as moment) as until
where webhook_id = $1::bigint
  and project_id = $2::bigint;

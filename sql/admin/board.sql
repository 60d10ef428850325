-- The state of the whole, as far as webhooks do not have it: unplanned changes, counted up to a bound ($1), and what
-- asks for somebody.
select row_to_json(listed) as row
from (
    select (select count(*) from (select from lshookd.waiting_change limit $1::bigint) as counted) as changes_unplanned,
           coalesce(
               (
                   select extract(epoch from statement_timestamp() - change.captured_at)
                   from lshookd.waiting_change as change
                   order by change.seq
                   limit 1
               ),
               0
           )::float8 as oldest_change_seconds,
           (select count(*) from (select from lshookd.change_set_aside limit $1) as counted) as changes_set_aside,
           (select count(*) from (select from lshookd.capture_error limit $1) as counted) as capture_errors,
           exists (select from lshookd.pause where webhook_id is null) as all_paused,
           array(
               select daemon_fault.fault || ': ' || daemon_fault.message
               from lshookd.daemon_fault
               where daemon_fault.seen_at > statement_timestamp() - interval '2 minutes'
               order by 1
           ) as faults
) as listed;

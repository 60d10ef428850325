-- What is pending, what fails, how large the queues are, and how much was delivered in the last minute.
select row_to_json(listed) as row
from (
    select lag.changes_unplanned,
           lag.oldest_change_seconds,
           lag.deliveries_pending,
           lag.oldest_delivery_seconds,
           (
               select count(*)
               from lshookd.attempt
               where attempt.started_at > clock_timestamp() - interval '1 minute' and attempt.error is null
           ) as delivered_last_minute,
           (select count(*) from lshookd.delivery where state = 'dead') as deliveries_dead,
           (select count(*) from lshookd.change_set_aside) as changes_set_aside,
           (select count(*) from lshookd.capture_error) as capture_errors,
           pg_total_relation_size('lshookd.change') as changes_bytes,
           pg_total_relation_size('lshookd.deleted_row') + pg_total_relation_size('lshookd.watched_row') as kept_rows_bytes,
           pg_notification_queue_usage()::float8 as notification_queue_usage,
           current_setting('max_prepared_transactions') <> '0' as has_prepared_transactions,
           (select count(*) from lshookd.lane) as lanes,
           (select count(*) from lshookd.lane where due_at <= clock_timestamp()) as lanes_due,
           (select count(*) from lshookd.failing_lane) as lanes_failing,
           (select coalesce(array_agg(webhook_id order by webhook_id), '{}') from lshookd.pause where webhook_id is not null)
               as paused,
           exists (select from lshookd.pause where webhook_id is null) as all_paused,
           array(
               select row_to_json(failing)
               from (
                   select webhook_id, project_id, delivery_id, attempts, last_status, last_error, due_at
                   from lshookd.failing_lane
                   order by last_attempt_at desc
                   limit 100
               ) as failing
           ) as failing
    from lshookd.lag
) as listed;

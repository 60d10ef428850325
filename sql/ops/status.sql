-- What is pending, what fails, and how large the queues are. A lane fails only while somebody would attempt its next
-- delivery: its webhook is there, delivered by lshookd and not paused.
with failed as materialized (
    select * from lshookd.failing_lane
),
-- Looked for only where a lane has failed: there may be ten thousand of them.
served as materialized (
    select webhook.id
    from lshookd.webhook_states() as webhook
    left join lshookd.adoption on adoption.webhook_id = webhook.id and adoption.released_at is null
    where exists (select from failed)
      and (webhook.is_active or adoption.webhook_id is not null)
      and not exists (
          select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = webhook.id
      )
),
failing_lane as materialized (
    select *
    from failed
    where failed.webhook_id in (select served.id from served)
)
select row_to_json(listed) as row
from (
    select lag.changes_unplanned,
           lag.oldest_change_seconds,
           lag.deliveries_pending,
           lag.oldest_delivery_seconds,
           (select count(*) from lshookd.delivery where state = 'dead') as deliveries_dead,
           (select count(*) from lshookd.change_set_aside) as changes_set_aside,
           (select count(*) from lshookd.capture_error) as capture_errors,
           pg_total_relation_size('lshookd.change') as changes_bytes,
           pg_total_relation_size('lshookd.deleted_row') + pg_total_relation_size('lshookd.watched_row') as kept_rows_bytes,
           pg_notification_queue_usage()::float8 as notification_queue_usage,
           current_setting('max_prepared_transactions') <> '0' as has_prepared_transactions,
           lane.quantity as lanes,
           lane.due as lanes_due,
           (select count(*) from failing_lane) as lanes_failing,
           (
               select count(*)
               from lshookd.webhook_states() as webhook
               where webhook.is_active and webhook.id not in (select webhook_id from lshookd.adoption)
           ) as webhooks_delivered_twice,
           array(
               select row_to_json(failing)
               from (
                   select webhook_id, count(*) as lanes
                   from failing_lane
                   group by webhook_id
                   order by webhook_id
                   limit 1000
               ) as failing
           ) as failing_webhooks,
           (select coalesce(array_agg(webhook_id order by webhook_id), '{}') from lshookd.pause where webhook_id is not null)
               as paused,
           exists (select from lshookd.pause where webhook_id is null) as all_paused,
           array(
               select row_to_json(failing)
               from (
                   select webhook_id, project_id, delivery_id, attempts, last_status, last_error, due_at
                   from failing_lane
                   order by last_attempt_at desc
                   limit 100
               ) as failing
           ) as failing
    from lshookd.lag
    cross join (
        select count(*) as quantity,
               count(*) filter (where due_at <= statement_timestamp()) as due
        from lshookd.lane
    ) as lane
) as listed;

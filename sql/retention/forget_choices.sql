-- Forgets what webhooks that are deleted had chosen beyond Label Studio's actions, and who pulled from them: no lane of
-- these is ever due, in which what is pending would be cancelled.
with chosen as (
    delete from lshookd.chosen_action
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
ruled as (
    delete from lshookd.rule
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
with_options as (
    delete from lshookd.delivery_option
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
failing as (
    delete from lshookd.failing_webhook
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
leased as (
    delete from lshookd.lease
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
pulled as (
    delete from lshookd.puller
    where webhook_id not in (select * from lshookd.webhook_ids(null))
    returning webhook_id
),
cancelled as (
    update lshookd.delivery
    set state = 'cancelled',
        ended_at = clock_timestamp()
    where webhook_id in (select webhook_id from pulled)
      and state = 'pending'
)
delete from lshookd.payload_option
where webhook_id not in (select * from lshookd.webhook_ids(null));

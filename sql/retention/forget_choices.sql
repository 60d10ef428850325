-- Forgets what webhooks that are deleted had chosen beyond Label Studio's actions.
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
)
delete from lshookd.payload_option
where webhook_id not in (select * from lshookd.webhook_ids(null));

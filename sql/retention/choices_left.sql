-- Whether webhooks that are deleted had chosen something beyond Label Studio's actions. Asked first, for what deletes
-- it looks after the watching triggers, too.
select exists (
    select
    from (
        select webhook_id from lshookd.chosen_action
        union all
        select webhook_id from lshookd.payload_option
        union all
        select webhook_id from lshookd.delivery_option
        union all
        select webhook_id from lshookd.failing_webhook
        union all
        select webhook_id from lshookd.rule
        union all
        select webhook_id from lshookd.puller
    ) as choice (webhook_id)
    where webhook_id not in (select * from lshookd.webhook_ids(null))
) as left_over;

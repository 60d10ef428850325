-- Whether webhooks that are gone wanted something beyond Label Studio's actions. Asked first, for what
-- deletes it looks after the watching triggers, too.
select exists (
    select
    from (
        select webhook_id from lshookd.wanted_action
        union all
        select webhook_id from lshookd.preference
        union all
        select webhook from lshookd.rule
    ) as wish (webhook_id)
    where not exists (select from webhook where webhook.id = wish.webhook_id)
) as left_over;

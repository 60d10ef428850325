-- Forgets what webhooks that are gone wanted beyond Label Studio's actions.
with wanted as (
    delete from lshookd.wanted_action
    where not exists (select from webhook where webhook.id = wanted_action.webhook_id)
),
ruled as (
    delete from lshookd.rule
    where not exists (select from webhook where webhook.id = rule.webhook)
)
delete from lshookd.preference
where not exists (select from webhook where webhook.id = preference.webhook_id);

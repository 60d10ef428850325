-- Forgets who delivers webhooks that are gone, that they were paused, and what they wanted beyond
-- Label Studio's actions.
with gone as (
    delete from lshookd.adoption
    where not exists (select from webhook where webhook.id = adoption.webhook_id)
),
wanted as (
    delete from lshookd.wanted_action
    where not exists (select from webhook where webhook.id = wanted_action.webhook_id)
),
ruled as (
    delete from lshookd.rule
    where not exists (select from webhook where webhook.id = rule.webhook)
),
preferred as (
    delete from lshookd.preference
    where not exists (select from webhook where webhook.id = preference.webhook_id)
)
delete from lshookd.pause
where webhook_id is not null
  and not exists (select from webhook where webhook.id = pause.webhook_id);

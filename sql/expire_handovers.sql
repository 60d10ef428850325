-- Forgets who delivers webhooks that are gone, and that they were paused.
with gone as (
    delete from lshookd.adoption
    where not exists (select from webhook where webhook.id = adoption.webhook_id)
)
delete from lshookd.pause
where webhook_id is not null
  and not exists (select from webhook where webhook.id = pause.webhook_id);

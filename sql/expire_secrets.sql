-- Deletes signing secrets that were rotated out, and those of webhooks that are gone.
delete from lshookd.secret
where expires_at < clock_timestamp()
   or (
       not exists (select from webhook where webhook.id = secret.webhook_id)
       and not exists (
           select from lshookd.delivery where delivery.webhook_id = secret.webhook_id and delivery.state = 'pending'
       )
   );

-- Deletes signing secrets that were rotated out, and those of webhooks that are deleted.
delete from lshookd.secret
where expires_at < statement_timestamp()
   or (
       webhook_id not in (select * from lshookd.webhook_ids(null))
       and not exists (
           select from lshookd.delivery where delivery.webhook_id = secret.webhook_id and delivery.state = 'pending'
       )
   );

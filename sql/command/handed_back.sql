-- Adopted webhooks that Label Studio delivers again, since somebody switched them on there or they
-- were released; and how many there are that both deliver.
select array(
           select adoption.webhook_id
           from lshookd.adoption
           join webhook on webhook.id = adoption.webhook_id
           where webhook.is_active
           order by adoption.webhook_id
       ) as handed_back,
       array(
           select webhook.id::bigint
           from webhook
           where webhook.is_active
             and webhook.id not in (select webhook_id from lshookd.adoption)
           order by webhook.id
       ) as doubled;

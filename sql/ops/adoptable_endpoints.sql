-- Where the webhooks point that would be adopted: those named ($1), or every one that Label Studio delivers.
select webhook.id as webhook_id,
       webhook.url
from lshookd.webhook_rows($1::bigint[]) as webhook
where $1::bigint[] is not null or webhook.is_active
order by webhook.id;

-- One webhook, for a request to it, or a change of it.
select webhook.url,
       webhook.headers,
       webhook.send_payload,
       webhook.project_id,
       payload_option.cloudevents,
       exists (select from lshookd.puller where puller.webhook_id = webhook.id) as is_pulled
from lshookd.webhook_rows(array[$1::bigint]) as webhook
left join lshookd.payload_option on payload_option.webhook_id = webhook.id;

-- One webhook, for a request to it.
select webhook.url,
       webhook.headers,
       webhook.send_payload,
       webhook.project_id,
       payload_option.cloudevents
from lshookd.webhook_rows(array[$1::bigint]) as webhook
left join lshookd.payload_option on payload_option.webhook_id = webhook.id;

-- One webhook, for a request to it.
select webhook.url::text as url,
       webhook.headers,
       webhook.send_payload,
       webhook.project_id::bigint as project_id,
       preference.cloudevents
from webhook
left join lshookd.preference on preference.webhook_id = webhook.id
where webhook.id = $1::bigint;

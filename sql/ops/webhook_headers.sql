-- The headers of the webhooks that have some, and whether they are sent beside those of CloudEvents.
select webhook.id,
       webhook.headers,
       coalesce(payload_option.cloudevents = 'binary', false) as in_binary_mode
from lshookd.webhook_rows(null) as webhook
left join lshookd.payload_option on payload_option.webhook_id = webhook.id
where webhook.headers <> '{}'
order by webhook.id;

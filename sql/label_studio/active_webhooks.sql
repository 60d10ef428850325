-- How many webhooks both Label Studio and lshookd deliver.
select count(*) as active
from lshookd.webhook_states() as webhook
where webhook.is_active
  and webhook.id not in (select webhook_id from lshookd.adoption);

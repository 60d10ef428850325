-- How many webhooks both Label Studio and lshookd deliver.
select count(*) as active
from webhook
where is_active
  and id not in (select webhook_id from lshookd.adoption);

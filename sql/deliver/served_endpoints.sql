-- Where the webhooks point that lshookd delivers by requests.
select webhook.id as webhook_id,
       webhook.url
from lshookd.webhook_rows(null) as webhook
left join lshookd.adoption on adoption.webhook_id = webhook.id
where not exists (select from lshookd.puller where puller.webhook_id = webhook.id)
  and case
          when adoption.webhook_id is null then webhook.is_active
          else adoption.released_at is null and not webhook.is_active
      end
order by webhook.id;

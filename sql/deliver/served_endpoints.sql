-- Where the webhooks point that lshookd delivers.
select webhook.id as webhook_id,
       webhook.url
from lshookd.webhook_rows(null) as webhook
left join lshookd.adoption on adoption.webhook_id = webhook.id
where case
          when adoption.webhook_id is null then webhook.is_active
          else adoption.released_at is null and not webhook.is_active
      end
order by webhook.id;

-- Webhooks that nobody delivers, and how many deliveries are pending for each.
select webhook.id as webhook_id,
       count(*) as pending
from lshookd.webhook_states() as webhook
join lshookd.delivery on delivery.webhook_id = webhook.id and delivery.state = 'pending'
where not webhook.is_active
  and not exists (
      select from lshookd.adoption where adoption.webhook_id = webhook.id and adoption.released_at is null
  )
group by webhook.id
order by webhook.id;

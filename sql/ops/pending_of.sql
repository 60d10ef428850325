-- How many deliveries wait for the given webhooks.
select count(*) as pending
from lshookd.delivery
where webhook_id = any ($1::bigint[])
  and state = 'pending';

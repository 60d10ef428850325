-- Ends what is pending of some webhooks without delivering it; how many deliveries that were.
select lshookd.skip(coalesce(array_agg(id), '{}')) as discarded
from lshookd.delivery
where webhook_id = any ($1::bigint[])
  and state = 'pending';

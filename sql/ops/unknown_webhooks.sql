-- Which of the given ids are no webhooks.
select webhook_id
from unnest($1::bigint[]) as given (webhook_id)
where webhook_id not in (select * from lshookd.webhook_ids($1::bigint[]))
order by webhook_id;

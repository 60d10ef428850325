-- Holds the deliveries of some webhooks, or with null among the ids of all.
insert into lshookd.pause (webhook_id)
select webhook_id
from unnest($1::bigint[]) as given (webhook_id)
on conflict do nothing;

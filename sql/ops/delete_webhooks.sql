-- Deletes webhooks, with the actions that each has chosen.
select id
from lshookd.delete_webhooks($1::bigint[]) as deleted (id);

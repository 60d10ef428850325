-- Of the given webhooks those in which something is pending.
select given.webhook_id
from unnest($1::bigint[]) as given (webhook_id)
where exists (
    select from lshookd.delivery where delivery.webhook_id = given.webhook_id and delivery.state = 'pending'
);

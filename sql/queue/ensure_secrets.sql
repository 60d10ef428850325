-- Gives the webhooks that have none a signing secret.
insert into lshookd.secret (webhook_id)
select distinct webhook_id
from unnest($1::bigint[]) as given (webhook_id)
where not exists (
    select from lshookd.secret where secret.webhook_id = given.webhook_id and expires_at is null
);

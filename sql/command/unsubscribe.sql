-- Deletes webhooks, with the actions that each has chosen.
with chosen as (
    delete from webhook_action
    where webhook_id = any ($1::bigint[])
)
delete from webhook
where id = any ($1::bigint[])
returning id::bigint as id;

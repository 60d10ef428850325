-- Deletes webhooks, with the actions that each has chosen.
with chosen as (
    delete from webhook_action
    where webhook_id = any ($1::bigint[])
),
given_up as (
    delete from lshookd.adoption
    where webhook_id = any ($1::bigint[])
),
unwanted as (
    delete from lshookd.wanted_action
    where webhook_id = any ($1::bigint[])
),
not_preferred as (
    delete from lshookd.preference
    where webhook_id = any ($1::bigint[])
),
not_ruled as (
    delete from lshookd.rule
    where webhook = any ($1::bigint[])
),
let_go as (
    delete from lshookd.pause
    where webhook_id = any ($1::bigint[])
)
delete from webhook
where id = any ($1::bigint[])
returning id::bigint as id;

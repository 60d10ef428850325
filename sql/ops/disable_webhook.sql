-- Disables a webhook: neither Label Studio nor lshookd delivers it. What is pending waits.
with disabled as (
    delete from lshookd.adoption
    where webhook_id = $1::bigint
)
select lshookd.update_webhook($1::bigint, null, null, null, null, null, false) as is_known;

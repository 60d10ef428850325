-- Takes webhooks over: those named, or every one that Label Studio delivers. Label Studio stops
-- posting to them when this is committed, and lshookd goes on.
with chosen as (
    select id
    from webhook
    where id = any ($1::bigint[])
       or ($1::bigint[] is null and is_active)
    for update
),
switched_off as (
    update webhook
    set is_active = false,
        updated_at = clock_timestamp()
    from chosen
    where webhook.id = chosen.id
    returning webhook.id
)
insert into lshookd.adoption (webhook_id)
select id
from switched_off
on conflict (webhook_id) do update
    set adopted_at = case when adoption.released_at is null then adoption.adopted_at else clock_timestamp() end,
        released_at = null
returning webhook_id;

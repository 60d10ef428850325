-- Adopts webhooks: those named, or every one that Label Studio delivers. Label Studio stops posting to them when this
-- is committed, and lshookd goes on.
with chosen as materialized (
    select coalesce(array_agg(webhook.id), '{}') as ids
    from lshookd.webhook_rows($1::bigint[]) as webhook
    where $1::bigint[] is not null or webhook.is_active
)
insert into lshookd.adoption (webhook_id, adopted_in_flight)
select deactivated.id, lshookd.in_flight()
from chosen
cross join lateral lshookd.set_webhooks_active(chosen.ids, false) as deactivated (id)
on conflict (webhook_id) do update
    set adopted_at = case when adoption.released_at is null then adoption.adopted_at else excluded.adopted_at end,
        adopted_snapshot = case
            when adoption.released_at is null then adoption.adopted_snapshot
            else excluded.adopted_snapshot
        end,
        adopted_in_flight = case
            when adoption.released_at is null then adoption.adopted_in_flight
            else excluded.adopted_in_flight
        end,
        released_at = null,
        released_snapshot = null,
        released_in_flight = null
returning webhook_id;

-- Attempts of the last hour by webhook, in twelve parts of five minutes, the oldest first. Those that were good are
-- counted by what they delivered, which an index knows by webhook and time.
with part as (
    select number,
           statement_timestamp() - interval '1 hour' + number * interval '5 minutes' as begins
    from generate_series(0, 11) as listed (number)
),
failed as materialized (
    select delivery.webhook_id,
           made.started_at
    from lshookd.attempt as made
    -- One by one, by their key: a join might read the table from its beginning.
    cross join lateral (
        select delivery.webhook_id from lshookd.delivery where delivery.id = made.delivery_id offset 0
    ) as delivery
    where made.started_at > statement_timestamp() - interval '1 hour'
      and made.error is not null
)
select row_to_json(listed) as row
from (
    select webhook.id as webhook_id,
           array_agg(
               (
                   select count(*)
                   from lshookd.delivery
                   where delivery.webhook_id = webhook.id
                     and delivery.state = 'delivered'
                     and delivery.ended_at >= part.begins
                     and delivery.ended_at < part.begins + interval '5 minutes'
               )
               order by part.number
           ) as good,
           array_agg(coalesce(failures.quantity, 0) order by part.number) as failed
    from lshookd.webhook_ids(null) as webhook (id)
    cross join part
    left join (
        select failed.webhook_id, part.number, count(*) as quantity
        from failed
        join part on failed.started_at >= part.begins and failed.started_at < part.begins + interval '5 minutes'
        group by failed.webhook_id, part.number
    ) as failures on failures.webhook_id = webhook.id and failures.number = part.number
    group by webhook.id
) as listed;

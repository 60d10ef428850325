-- Attempts of the last hour by webhook, in twelve parts of five minutes, the oldest first.
select row_to_json(listed) as row
from (
    select webhook_id,
           array_agg(good order by part) as good,
           array_agg(failed order by part) as failed
    from (
        select webhook.id as webhook_id,
               part,
               count(attempt.number) filter (where attempt.error is null) as good,
               count(attempt.number) filter (where attempt.error is not null) as failed
        from lshookd.webhook_ids(null) as webhook (id)
        cross join generate_series(0, 11) as part
        left join (
            select delivery.webhook_id, made.number, made.error,
                   floor(extract(epoch from made.started_at - (clock_timestamp() - interval '1 hour')) / 300)::integer
                       as at
            from lshookd.attempt as made
            join lshookd.delivery on delivery.id = made.delivery_id
            where made.started_at > clock_timestamp() - interval '1 hour'
        ) as attempt on attempt.webhook_id = webhook.id and attempt.at = part
        group by webhook.id, part
    ) as counted
    group by webhook_id
) as listed;

-- How long a webhook ($1) took to answer lately, in milliseconds: percentiles of at most so many ($2) deliveries, the
-- latest.
with latest as (
    select delivery.id, delivery.attempts
    from lshookd.delivery
    where delivery.webhook_id = $1::bigint
      and delivery.state = 'delivered'
    order by delivery.ended_at desc
    limit $2::bigint
)
select count(*) as attempts,
       percentile_cont(array[0.5, 0.95, 0.99]::float8[]) within group (order by attempt.duration_ms) as percentiles
from latest
join lshookd.attempt on attempt.delivery_id = latest.id and attempt.number = latest.attempts;

-- Dead deliveries of some webhooks ($1) by why they are dead: of each webhook so many ($2), the newest.
select row_to_json(listed) as row
from (
    select newest.webhook_id,
           coalesce(attempt.error, 'too old') as reason,
           count(*) as deliveries,
           min(newest.ended_at) as first_at,
           max(newest.ended_at) as last_at,
           array_agg(newest.id order by newest.id desc) as ids
    from unnest($1::bigint[]) as webhook (id)
    cross join lateral (
        select delivery.id, delivery.webhook_id, delivery.attempts, delivery.ended_at
        from lshookd.delivery
        where delivery.webhook_id = webhook.id
          and delivery.state = 'dead'
        order by delivery.id desc
        limit $2::bigint
    ) as newest
    left join lshookd.attempt on attempt.delivery_id = newest.id and attempt.number = newest.attempts
    group by newest.webhook_id, coalesce(attempt.error, 'too old')
    order by max(newest.ended_at) desc
) as listed;

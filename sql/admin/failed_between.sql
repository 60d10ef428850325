-- How many attempts of each webhook failed and ended from a moment ($1) until another ($2), the newest ten thousand
-- of them.
with failed as materialized (
    select attempt.delivery_id
    from lshookd.attempt
    where attempt.error is not null
      and attempt.started_at > $1::timestamptz - interval '2 minutes'
      and attempt.started_at + attempt.duration_ms * interval '1 millisecond' >= $1
      and attempt.started_at + attempt.duration_ms * interval '1 millisecond' < $2::timestamptz
    order by attempt.started_at desc
    limit 10000
)
select delivery.webhook_id,
       count(*) as quantity
from failed
-- One by one, by their key: a join might read the table from its beginning.
cross join lateral (
    select delivery.webhook_id from lshookd.delivery where delivery.id = failed.delivery_id offset 0
) as delivery
group by delivery.webhook_id;

-- About where among the deliveries those of events since a moment ($1) begin: events are planned about in the order in
-- which they occurred. Found by halving, which reads few rows of however many there are.
with recursive extent as (
    select (select min(id) from lshookd.delivery) as first, (select max(id) from lshookd.delivery) as last
),
halving (low, high, turn) as (
    select extent.first, extent.last, 0
    from extent
    where extent.first is not null
    union all
    select case when middle.occurred_at < $1::timestamptz then middle.id + 1 else halving.low end,
           case when middle.occurred_at < $1 then halving.high else least(middle.id, halving.high - 1) end,
           halving.turn + 1
    from halving
    cross join lateral (
        select delivery.id, event.occurred_at
        from lshookd.delivery
        join lshookd.event on event.id = delivery.event_id
        where delivery.id >= halving.low + (halving.high - halving.low) / 2
        order by delivery.id
        limit 1
    ) as middle
    where halving.low < halving.high
      and halving.turn < 64
)
select low as id
from halving
order by turn desc
limit 1;

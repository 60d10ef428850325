-- Deletes at most a thousand deliveries that were delivered, cancelled or skipped so many seconds ago;
-- their attempts go along. Dead ones are kept until somebody deletes them.
with recursive webhook as (
    -- The index delivery_delivered is asked for the next webhook each time, however much each was delivered.
    (
        select webhook_id
        from lshookd.delivery
        where state = 'delivered'
        order by webhook_id
        limit 1
    )
    union all
    select following.webhook_id
    from webhook
    cross join lateral (
        select delivery.webhook_id
        from lshookd.delivery
        where delivery.state = 'delivered' and delivery.webhook_id > webhook.webhook_id
        order by delivery.webhook_id
        limit 1
    ) as following
),
delivered as (
    select old.id
    from webhook
    cross join lateral (
        select delivery.id
        from lshookd.delivery
        where delivery.webhook_id = webhook.webhook_id
          and delivery.state = 'delivered'
          and delivery.ended_at < statement_timestamp() - $1::float8 * interval '1 second'
        order by delivery.ended_at
        limit 1000
    ) as old
    limit 1000
),
discarded as (
    select id
    from lshookd.delivery
    where state in ('cancelled', 'skipped')
      and ended_at < statement_timestamp() - $1::float8 * interval '1 second'
    order by ended_at
    limit 1000
),
old as (
    select id from delivered
    union all
    select id from discarded
    limit 1000
)
delete from lshookd.delivery
-- By their key: a join might read the table from its beginning.
where id = any (array(select id from old))
returning event_id;

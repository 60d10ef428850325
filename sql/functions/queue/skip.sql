-- Ends pending deliveries without delivering them, and discards dead ones. The lanes of the pending ones go on with
-- what comes after. Returns how many there were.
create or replace function lshookd.skip(deliveries bigint[]) returns bigint
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with skippable as (
        select id, state
        from lshookd.delivery
        where id = any (deliveries)
          and state in ('pending', 'dead')
        order by id
        for update
    ),
    skipped as (
        update lshookd.delivery
        set state = 'skipped',
            ended_at = clock_timestamp()
        from skippable
        where delivery.id = skippable.id
        returning delivery.webhook_id, delivery.project_id, skippable.state
    ),
    due as (
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => true)
        from skipped
        where state = 'pending'
    )
    select count(skipped) from skipped right join due on true
$$;

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
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select distinct webhook_id, project_id, now()
        from skipped
        where state = 'pending'
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = excluded.due_at
        returning 1
    ),
    announced as (
        select lshookd.announce_lanes()
        where exists (select from due)
    )
    select count(*) from skipped left join announced on true
$$;

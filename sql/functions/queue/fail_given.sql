-- Counts a failed attempt of deliveries that consumers were given, each with why, since when and from where it was given,
-- in parallel arrays; one is dead after so many attempts. Returns how many failed, and how many of them are dead.
create or replace function lshookd.fail_given(deliveries bigint[], moments timestamptz[], consumers inet[], reason text, attempts_allowed integer)
    returns table (failed bigint, dead bigint)
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with given as materialized (
        select *
        from unnest(deliveries, moments, consumers) as listed (id, leased_at, consumer)
    ),
    counted as (
        update lshookd.delivery
        set attempts = attempts + 1,
            state = case when attempts + 1 - schedule_from >= attempts_allowed then 'dead' else 'pending' end,
            ended_at = case when attempts + 1 - schedule_from >= attempts_allowed then clock_timestamp() end
        -- By their key: a join might read the table from its beginning, and what is pending by its index (which serves for
        -- the written word alone) be compared with all of them.
        where id = any (deliveries)
          and state = (select 'pending')
        returning id, attempts, state
    ),
    noted as (
        insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, error, address, protocol)
        select id,
               attempts,
               leased_at,
               least(extract(epoch from clock_timestamp() - leased_at) * 1000, 2147483647)::integer,
               reason,
               consumer,
               'pull'
        -- A full join, and no condition within: another might compare each of thousands with each.
        from (
            select counted.id, counted.attempts, given.leased_at, given.consumer
            from counted
            full join given on given.id = counted.id
            offset 0
        ) as failed
        where id is not null
        on conflict (delivery_id, number) do nothing
    )
    select count(*),
           count(*) filter (where state = 'dead')
    from counted
$$;

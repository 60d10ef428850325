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
        -- By their key: a join might read the table from its beginning.
        where id = any (deliveries)
          and state = 'pending'
        returning id, attempts, state
    ),
    noted as (
        insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, error, address, protocol)
        select counted.id,
               counted.attempts,
               given.leased_at,
               least(extract(epoch from clock_timestamp() - given.leased_at) * 1000, 2147483647)::integer,
               reason,
               given.consumer,
               'pull'
        from counted
        join given on given.id = counted.id
        on conflict (delivery_id, number) do nothing
    )
    select count(*),
           count(*) filter (where state = 'dead')
    from counted
$$;

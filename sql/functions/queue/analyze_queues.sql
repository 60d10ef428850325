-- Takes statistics of our tables where those that there are know nearly nothing of what is in them: taken while a table was
-- empty, say, or while all that it had was of a transaction that went on. Statements that ask for a few rows then read
-- all of them. Autovacuum does the same within a minute or two. Nobody waits for somebody else who vacuums a table.
create or replace function lshookd.analyze_queues() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass;
begin
    for relation in
        select oid
        from pg_class
        where relnamespace = 'lshookd'::regnamespace
          and relkind = 'r'
          -- Of a table of which there are none yet, PostgreSQL goes by its size.
          and reltuples >= 0
          and pg_stat_get_live_tuples(oid) > greatest(1000, 10 * reltuples)
    loop
        execute format('analyze (skip_locked) %s', relation);
    end loop;
end
$$;

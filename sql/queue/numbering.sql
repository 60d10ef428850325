-- The newest number that a sequence ($1) has given for rows of a table ($2), and the transactions that have written to the
-- table and are not over: whoever is given a number holds this lock before. What has a number that was read before these
-- transactions, and is of none of them, is there or will never be.
select coalesce(pg_sequence_last_value($1::text::regclass), 0) as newest,
       array(
           select distinct virtualtransaction
           from pg_locks
           where locktype = 'relation'
             and database = (select oid from pg_database where datname = current_database())
             and relation = $2::text::regclass
             and mode = 'RowExclusiveLock'
             and pid is distinct from pg_backend_pid()
       ) as writers;

-- Granted only while no transaction that captured something is in flight.
select pg_try_advisory_lock(1819503723, 0) as asleep;

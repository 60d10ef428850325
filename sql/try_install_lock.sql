-- Two installations at the same moment: the second waits its turn.
select pg_try_advisory_lock(1819503723, 1) as locked;

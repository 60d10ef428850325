-- Awake: writers need not notify.
select pg_advisory_unlock(1819503723, 0);

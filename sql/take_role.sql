-- Of several daemons one plans and one delivers; the lock goes with the connection.
select pg_try_advisory_lock(1819503723, $1::integer) as taken;

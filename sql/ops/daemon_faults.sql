-- What of running daemons does not work.
select fault, message
from lshookd.daemon_fault
where seen_at > statement_timestamp() - interval '2 minutes'
order by fault, message;

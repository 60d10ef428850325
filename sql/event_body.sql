-- The body of one event.
select body
from lshookd.event
where id = $1::bigint;

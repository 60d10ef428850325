-- The newest event.
select coalesce(max(id), 0) as id
from lshookd.event;

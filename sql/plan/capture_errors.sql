-- How often capture failed, and how it failed last.
select count(*) as count,
       (array_agg(operation || ' on ' || relation || ': ' || message order by at desc))[1] as last
from lshookd.capture_error;

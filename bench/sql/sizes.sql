-- How large lshookd's tables and their indexes are, in bytes, and how many deliveries there are.
select sum(pg_table_size(oid))::bigint as tables,
       sum(pg_indexes_size(oid))::bigint as indexes,
       (select count(*) from lshookd.delivery) as deliveries
from pg_class
where relnamespace = 'lshookd'::regnamespace and relkind = 'r';

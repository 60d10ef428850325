-- How much room the queue and the errors of capture have on disk, with their indexes.
select pg_total_relation_size('lshookd.change') + pg_total_relation_size('lshookd.capture_error') as bytes;

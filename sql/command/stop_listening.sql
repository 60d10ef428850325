-- Says that somebody listens no more, and forgets who went without saying so.
delete from lshookd.listener
where id = $1
   or listens_until < clock_timestamp();

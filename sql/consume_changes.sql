-- Takes planned changes out of the queue, in the transaction that stores their events.
delete from lshookd.change
where seq = any ($1);

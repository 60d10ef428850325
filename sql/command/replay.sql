-- Sends deliveries again.
select lshookd.replay($1::bigint[]) as replayed;

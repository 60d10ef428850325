-- Lets changes be read from the oldest that waits, or from behind $1: all up to there are there, or will never be.
select setval('lshookd.change_floor', least($1::bigint + 1, coalesce((select min(seq) from lshookd.waiting_change), $1 + 1)));

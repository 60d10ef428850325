-- Says that somebody taps no more, and forgets who went without saying so.
delete from lshookd.tap
where id = $1
   or taps_until < statement_timestamp();

-- Drops one of our triggers where it is there, disabled or not, so that it can be created anew.
select lshookd.drop_trigger($1::text);

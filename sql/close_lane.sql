-- Lets a lane sleep if nothing waits in it.
select lshookd.close_lane($1::bigint, $2::bigint) as closed;

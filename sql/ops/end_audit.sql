-- Notes how a change ($1) ended: with an error ($2), or done.
update lshookd.audit
set failure = $2::text
where id = $1::bigint;

-- Rows as watching triggers saw them, in the order in which they did.
select id,
       xid::text::bigint as transaction,
       before::text as before,
       after::text as after
from lshookd.watched_row
where relation = $1::text
  and id = any ($2::bigint[])
order by seq;

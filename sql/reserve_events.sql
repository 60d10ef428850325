-- Ids for so many events, ascending.
select nextval('lshookd.event_id_seq') as id
from generate_series(1, $1::bigint);

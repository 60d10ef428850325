-- Stores deliveries; their ids, and with them each lane's order, ascend in the order given.
insert into lshookd.delivery (event_id, webhook_id, project_id)
select event_id, webhook_id, project_id
from unnest($1::bigint[], $2::bigint[], $3::bigint[])
    with ordinality as given (event_id, webhook_id, project_id, place)
order by place;

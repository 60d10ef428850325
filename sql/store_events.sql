-- Stores events; their ids ascend in the order given.
insert into lshookd.event (action, project_id, object_count, occurred_at, body)
select action, project_id, object_count, occurred_at, body
from unnest($1::text[], $2::bigint[], $3::integer[], $4::timestamptz[], $5::text[])
    with ordinality as given (action, project_id, object_count, occurred_at, body, place)
order by place
returning id;

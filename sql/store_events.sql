-- Stores events; their ids ascend in the order given.
insert into lshookd.event (action, project_id, object_count, occurred_at, body, only_heard)
select action, project_id, object_count, occurred_at, body, only_heard
from unnest($1::text[], $2::bigint[], $3::integer[], $4::timestamptz[], $5::text[], $6::boolean[])
    with ordinality as given (action, project_id, object_count, occurred_at, body, only_heard, place)
order by place
returning id;

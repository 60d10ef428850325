-- Stores events under the ids that were reserved for them.
insert into lshookd.event (id, action, project_id, object_count, occurred_at, body, only_heard)
overriding system value
select id, action, project_id, object_count, occurred_at, body, only_heard
from unnest($1::bigint[], $2::text[], $3::bigint[], $4::integer[], $5::timestamptz[], $6::text[], $7::boolean[])
    as given (id, action, project_id, object_count, occurred_at, body, only_heard);

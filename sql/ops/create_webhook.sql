-- Creates a webhook as Label Studio would, of a project or of an organization. With $7 it is active, that is Label
-- Studio's; otherwise lshookd's alone.
with created as materialized (
    select lshookd.create_webhook($1::bigint, $2::bigint, $3::text, $4::boolean, $5::text[], $6::jsonb, $7::boolean) as id
),
adopted as (
    insert into lshookd.adoption (webhook_id)
    select id
    from created
    where not $7::boolean
)
select id
from created;

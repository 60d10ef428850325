-- Makes a webhook as Label Studio would, of a project or of an organization. With $7 it is active,
-- that is Label Studio's; otherwise lshookd's alone.
with made as (
    insert into webhook
        (organization_id, project_id, url, send_payload, send_for_all_actions, headers, is_active, created_at, updated_at)
    values ($1::bigint, $2::bigint, $3::text, $4::boolean, $5::text[] is null, $6::jsonb, $7::boolean,
            clock_timestamp(), clock_timestamp())
    returning id
),
chosen as (
    insert into webhook_action (webhook_id, action)
    select made.id, given.action
    from made
    cross join unnest($5::text[]) as given (action)
),
adopted as (
    insert into lshookd.adoption (webhook_id)
    select id
    from made
    where not $7::boolean
)
select id::bigint as id
from made;

-- Events by action, project and the time they occurred, the newest first.
select row_to_json(listed) as row
from (
    select event.id,
           event.action,
           event.project_id,
           event.object_count as objects,
           event.occurred_at,
           event.planned_at,
           event.ended_by,
           octet_length(event.body) as bytes,
           (select count(*) from lshookd.delivery where delivery.event_id = event.id) as deliveries
    from lshookd.event
    where ($1::text is null or event.action = $1)
      and ($2::bigint is null or event.project_id = $2)
      and ($3::timestamptz is null or event.occurred_at >= $3)
      and ($4::timestamptz is null or event.occurred_at < $4)
    order by event.id desc
    limit $5
) as listed;

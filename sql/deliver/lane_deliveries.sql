-- What waits in a lane behind a delivery ($3), in order: a hundred deliveries at most, or as many as make up a
-- megabyte, and at least one; a body that is larger than that alone is left out and fetched by
-- itself. Each comes with whether these are all that waited, with the webhook as it is now
-- and the secrets that sign for it, the newest first, and whether it is delivered now: active, or
-- adopted, and not paused; what is still owed of a webhook that was released is delivered as well. No body is read
-- of what is not delivered now.
with webhook as materialized (
    select webhook_row.id,
           webhook_row.url,
           webhook_row.headers,
           webhook_row.send_payload,
           (
               coalesce(webhook_row.is_active, false)
               or exists (select from lshookd.adoption where adoption.webhook_id = $1 and adoption.released_at is null)
           )
           and not exists (
               select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = $1
           ) as is_served
    from lshookd.webhook_rows(array[$1::bigint]) as webhook_row
),
waiting as (
    select delivery.id,
           delivery.message_id,
           delivery.attempts,
           delivery.schedule_from,
           delivery.event_id,
           sum(coalesce(octet_length(event.body), 0)) over (order by delivery.id) as bytes,
           row_number() over (order by delivery.id) as place
    from (
        select id, message_id, attempts, schedule_from, event_id
        from lshookd.delivery
        where webhook_id = $1
          and project_id = $2
          and state = 'pending'
          and id > greatest(
              $3,
              (select lane.ended_up_to from lshookd.lane where lane.webhook_id = $1 and lane.project_id = $2)
          )
        order by id
        limit 100
    ) as delivery
    join lshookd.event on event.id = delivery.event_id
)
select waiting.id,
       (select count(*) < 100 and max(bytes) <= 1000000 from waiting) as is_all,
       waiting.message_id,
       waiting.attempts,
       waiting.schedule_from,
       event.action,
       event.occurred_at,
       event.planned_at,
       waiting.event_id,
       event.project_id,
       payload_option.cloudevents,
       case when webhook.send_payload and octet_length(event.body) > 1000000 then octet_length(event.body) end as large_body_bytes,
       case
           when webhook.is_served and webhook.send_payload and octet_length(event.body) <= 1000000 then event.body
       end as body,
       webhook.url,
       webhook.headers,
       webhook.is_served,
       array(
           select secret.secret
           from lshookd.secret
           where secret.webhook_id = $1
             and coalesce(secret.expires_at, 'infinity') > statement_timestamp()
           order by secret.created_at desc
       ) as secrets
from waiting
join lshookd.event on event.id = waiting.event_id
left join webhook on true
left join lshookd.payload_option on payload_option.webhook_id = $1
where waiting.bytes <= 1000000
   or waiting.place = 1
order by waiting.id;

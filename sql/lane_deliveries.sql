-- What waits in a lane, in order: a hundred deliveries at most, or as many as make up a
-- megabyte, and at least one; a body that is larger than that alone is left out and fetched by
-- itself. Each comes with the subscription as it is now and the secrets that sign for it, the
-- newest first.
with waiting as (
    select delivery.id,
           delivery.message_id,
           delivery.attempts,
           delivery.event_id,
           sum(coalesce(octet_length(event.body), 0)) over (order by delivery.id) as bytes,
           row_number() over (order by delivery.id) as place
    from (
        select id, message_id, attempts, event_id
        from lshookd.delivery
        where webhook_id = $1
          and project_id = $2
          and state = 'pending'
          and id > $3
        order by id
        limit 100
    ) as delivery
    join lshookd.event on event.id = delivery.event_id
)
select waiting.id,
       waiting.message_id,
       waiting.attempts,
       event.action,
       waiting.event_id,
       case when webhook.send_payload and octet_length(event.body) > 1000000 then octet_length(event.body) end as large,
       case when webhook.send_payload and octet_length(event.body) <= 1000000 then event.body end as body,
       webhook.url::text as url,
       webhook.headers,
       webhook.is_active,
       array(
           select secret.secret
           from lshookd.secret
           where secret.webhook_id = $1
             and coalesce(secret.expires_at, 'infinity') > clock_timestamp()
           order by secret.created_at desc
       ) as secrets
from waiting
join lshookd.event on event.id = waiting.event_id
left join webhook on webhook.id = $1
where waiting.bytes <= 1000000
   or waiting.place = 1
order by waiting.id;

-- What waits in lanes (of the webhooks $1 in the projects $2) behind a delivery of each ($3), each with the place of its
-- lane in the list; in no order, for bodies would be sorted with the rest. Of each lane a hundred deliveries at most, the
-- first ones, or as many as make up a megabyte, and at least one; a body that is larger than that alone is left out and
-- fetched by itself. Each comes with whether these are all that waited, with the webhook as it is now and the secrets that
-- sign for it, the newest first, and whether it is delivered now: active, or adopted, and not paused; what is still owed of
-- a webhook that was released is delivered as well. No body is read of what is not delivered now.
--
-- Lanes and events are asked for one by one, by their key: a join might read all of them for each.
with webhook as materialized (
    select webhook_row.id,
           webhook_row.url,
           webhook_row.headers,
           webhook_row.send_payload,
           (
               coalesce(webhook_row.is_active, false)
               or exists (
                   select from lshookd.adoption
                   where adoption.webhook_id = webhook_row.id and adoption.released_at is null
               )
           )
           and not exists (
               select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = webhook_row.id
           ) as is_served,
           array(
               select secret.secret
               from lshookd.secret
               where secret.webhook_id = webhook_row.id
                 and coalesce(secret.expires_at, 'infinity') > statement_timestamp()
               order by secret.created_at desc
           ) as secrets,
           payload_option.cloudevents
    from lshookd.webhook_rows($1::bigint[]) as webhook_row
    left join lshookd.payload_option on payload_option.webhook_id = webhook_row.id
),
asked as materialized (
    select given.place,
           given.webhook_id,
           given.project_id,
           greatest(given.after, lane.ended_up_to) as after,
           webhook.url,
           webhook.headers,
           webhook.send_payload,
           webhook.is_served,
           coalesce(webhook.secrets, '{}') as secrets,
           webhook.cloudevents
    from unnest($1::bigint[], $2::bigint[], $3::bigint[])
        with ordinality as given (webhook_id, project_id, after, place)
    left join lateral (
        select lane.ended_up_to
        from lshookd.lane
        where lane.webhook_id = given.webhook_id and lane.project_id = given.project_id
        offset 0
    ) as lane on true
    left join webhook on webhook.id = given.webhook_id
)
select asked.place,
       waiting.id,
       waiting.is_all,
       waiting.message_id,
       waiting.attempts,
       waiting.schedule_from,
       event.action,
       event.occurred_at,
       event.planned_at,
       waiting.event_id,
       asked.project_id,
       asked.cloudevents,
       case when asked.send_payload and waiting.length > 1000000 then waiting.length end as large_body_bytes,
       case when asked.is_served and asked.send_payload and waiting.length <= 1000000 then event.body end as body,
       asked.url,
       asked.headers,
       asked.is_served,
       asked.secrets
from asked
cross join lateral (
    -- Without bodies, which the windows would copy: these are read behind them.
    select first.id,
           first.message_id,
           first.attempts,
           first.schedule_from,
           first.event_id,
           event.length,
           sum(coalesce(event.length, 0)) over (order by first.id) as bytes,
           row_number() over (order by first.id) as number,
           count(*) over () < 100 and sum(coalesce(event.length, 0)) over () <= 1000000 as is_all
    from (
        select delivery.id, delivery.message_id, delivery.attempts, delivery.schedule_from, delivery.event_id
        from lshookd.delivery
        where delivery.webhook_id = asked.webhook_id
          and delivery.project_id = asked.project_id
          and delivery.state = 'pending'
          and delivery.id > asked.after
        order by delivery.id
        limit 100
    ) as first
    cross join lateral (
        select octet_length(event.body) as length
        from lshookd.event
        where event.id = first.event_id
        offset 0
    ) as event
) as waiting
cross join lateral (
    select event.action, event.occurred_at, event.planned_at, event.body
    from lshookd.event
    where event.id = waiting.event_id
    offset 0
) as event
where waiting.bytes <= 1000000
   or waiting.number = 1;

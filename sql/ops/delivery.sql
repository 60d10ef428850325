-- One delivery in full, by its number or its webhook-id.
select row_to_json(listed) as row
from (
    select delivery.id,
           delivery.message_id,
           delivery.webhook_id,
           delivery.project_id,
           event.action,
           event.object_count as objects,
           event.occurred_at,
           event.planned_at,
           event.ended_by,
           delivery.state,
           delivery.ended_at,
           webhook.url,
           case
               when jsonb_typeof(webhook.headers) = 'object' then array(select jsonb_object_keys(webhook.headers))
               else '{}'
           end as header_names,
           payload_option.cloudevents,
           lane.due_at,
           not (
               coalesce(webhook.is_active, false)
               or exists (
                   select from lshookd.adoption
                   where adoption.webhook_id = delivery.webhook_id
                     and adoption.released_at is null
               )
           )
           or exists (
               select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = delivery.webhook_id
           ) as is_held,
           (
               select count(*)
               from (
                   select
                   from lshookd.delivery as earlier
                   where earlier.webhook_id = delivery.webhook_id
                     and earlier.project_id = delivery.project_id
                     and earlier.state = 'pending'
                     and earlier.id < delivery.id
                   limit 1000
               ) as counted
           ) as waits_behind,
           array(
               select row_to_json(made)
               from (
                   select attempt.number, attempt.started_at, attempt.duration_ms, attempt.status, attempt.error,
                          attempt.response_head, host(attempt.address) as address, attempt.protocol, attempt.dns_ms,
                          attempt.tcp_ms, attempt.tls_ms, attempt.answer_ms
                   from lshookd.attempt
                   where attempt.delivery_id = delivery.id
                   order by attempt.number
               ) as made
           ) as attempts,
           case
               when event.body is null or not coalesce(webhook.send_payload, true)
                   then format('{"action":%s}', to_json(event.action))
               else event.body
           end as body
    from lshookd.delivery
    join lshookd.event on event.id = delivery.event_id
    left join lateral lshookd.webhook_rows(array[delivery.webhook_id]) as webhook on true
    left join lshookd.payload_option on payload_option.webhook_id = delivery.webhook_id
    left join lshookd.lane on lane.webhook_id = delivery.webhook_id and lane.project_id = delivery.project_id and lane.due_at < 'infinity'
    where delivery.id = $1::bigint
       or delivery.message_id = $2::uuid
    limit 1
) as listed;

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
                   then format('{"action": %s}', to_json(event.action))
               else event.body
           end as body
    from lshookd.delivery
    join lshookd.event on event.id = delivery.event_id
    left join lateral lshookd.webhook_rows(array[delivery.webhook_id]) as webhook on true
    where delivery.id = $1::bigint
       or delivery.message_id = $2::uuid
    limit 1
) as listed;

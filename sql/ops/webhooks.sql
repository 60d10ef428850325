-- Label Studio's webhooks, and who delivers them. What was delivered is counted for the last hour,
-- for there may be millions; each is asked of an index.
with webhook as materialized (
    select * from lshookd.webhook_rows($1::bigint[])
),
project as materialized (
    select id, "row"::json ->> 'title' as title
    from lshookd.project_rows((select coalesce(array_agg(distinct project_id), '{}') from webhook))
)
select row_to_json(listed) as row
from (
    select webhook.id,
           webhook.url,
           webhook.project_id,
           project.title as project,
           webhook.organization_id,
           case when not webhook.send_for_all_actions then webhook.actions end as actions,
           array(
               select chosen_action.action
               from lshookd.chosen_action
               where chosen_action.webhook_id = webhook.id
               order by chosen_action.action
           ) as additional_actions,
           webhook.send_payload,
           extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout_seconds,
           extract(epoch from delivery_option.answer_timeout)::float8 as answer_timeout_seconds,
           coalesce(delivery_option.await_answer, true) as await_answer,
           (
               select array_agg(extract(epoch from pause)::float8 order by place)
               from unnest(delivery_option.retry_schedule) with ordinality as listed (pause, place)
           ) as retry_schedule_seconds,
           extract(epoch from delivery_option.maximum_age)::float8 as maximum_age_seconds,
           delivery_option.rate_limit,
           delivery_option.concurrency,
           -- Without its credentials.
           regexp_replace(delivery_option.proxy, '^http://.*@', 'http://') as proxy,
           webhook.id in (select * from lshookd.ml_backend_webhooks(null)) as is_ml_backend,
           case
               when adoption.webhook_id is null and webhook.is_active then 'both'
               when adoption.webhook_id is null then 'nobody'
               when adoption.released_at is null and not webhook.is_active then 'lshookd'
               when webhook.is_active then 'label studio'
               else 'nobody'
           end as delivered_by,
           exists (
               select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = webhook.id
           ) as paused,
           (
               select pause.failing_since from lshookd.pause where pause.webhook_id = webhook.id
           ) as paused_failing_since,
           (
               select failing_webhook.since from lshookd.failing_webhook where failing_webhook.webhook_id = webhook.id
           ) as failing_since,
           (
               select count(*)
               from lshookd.delivery
               where delivery.webhook_id = webhook.id and delivery.state = 'pending'
           ) as pending,
           (
               select count(*)
               from lshookd.delivery
               where delivery.webhook_id = webhook.id and delivery.state = 'dead'
           ) as dead,
           (
               select count(*)
               from lshookd.delivery
               where delivery.webhook_id = webhook.id
                 and delivery.state = 'delivered'
                 and delivery.ended_at > statement_timestamp() - interval '1 hour'
           ) as delivered_last_hour,
           (
               select max(delivery.ended_at)
               from lshookd.delivery
               where delivery.webhook_id = webhook.id and delivery.state = 'delivered'
           ) as last_delivered_at,
           failing.last_error
    from webhook
    left join project on project.id = webhook.project_id
    left join lshookd.adoption on adoption.webhook_id = webhook.id
    left join lshookd.delivery_option on delivery_option.webhook_id = webhook.id
    left join lateral (
        select failing_lane.last_error
        from lshookd.failing_lane
        where failing_lane.webhook_id = webhook.id
        order by failing_lane.last_attempt_at desc
        limit 1
    ) as failing on true
    order by webhook.id
) as listed;

-- Label Studio's webhooks, those given ($1) or with null all of them, and who delivers each. What was delivered is
-- counted for the last hour, for there may be millions; each is asked of an index, and nothing is counted beyond a
-- bound ($2), if there is one.
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
           manner.connect_timeout_seconds,
           manner.answer_timeout_seconds,
           coalesce(manner.await_answer, true) as await_answer,
           manner.retry_schedule_seconds,
           manner.maximum_age_seconds,
           manner.rate_limit,
           manner.concurrency,
           manner.proxy,
           manner.pause_after_seconds,
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
               from (
                   select
                   from lshookd.delivery
                   where delivery.webhook_id = webhook.id and delivery.state = 'pending'
                   limit $2::bigint
               ) as counted
           ) as pending,
           (
               select count(*)
               from (
                   select
                   from lshookd.delivery
                   where delivery.webhook_id = webhook.id and delivery.state = 'dead'
                   limit $2::bigint
               ) as counted
           ) as dead,
           (
               select count(*)
               from (
                   select
                   from lshookd.delivery
                   where delivery.webhook_id = webhook.id
                     and delivery.state = 'delivered'
                     and delivery.ended_at > statement_timestamp() - interval '1 hour'
                   limit $2::bigint
               ) as counted
           ) as delivered_last_hour,
           (
               select max(delivery.ended_at)
               from lshookd.delivery
               where delivery.webhook_id = webhook.id and delivery.state = 'delivered'
           ) as last_delivered_at,
           (
               select min(event.occurred_at)
               from (
                   select lane.webhook_id, lane.project_id
                   from lshookd.lane
                   where lane.webhook_id = webhook.id
                     and lane.due_at < 'infinity'
                   limit $2
               ) as lane
               cross join lateral (
                   select delivery.event_id
                   from lshookd.delivery
                   where delivery.webhook_id = lane.webhook_id
                     and delivery.project_id = lane.project_id
                     and delivery.state = 'pending'
                   order by delivery.id
                   limit 1
               ) as first
               join lshookd.event on event.id = first.event_id
           ) as oldest_pending_at,
           failing.last_error,
           failing.due_at as next_attempt_at
    from webhook
    left join project on project.id = webhook.project_id
    left join lshookd.adoption on adoption.webhook_id = webhook.id
    left join lshookd.webhook_manner as manner on manner.webhook_id = webhook.id
    left join lateral (
        select failing_lane.last_error, failing_lane.due_at
        from lshookd.failing_lane
        where failing_lane.webhook_id = webhook.id
        order by failing_lane.last_attempt_at desc
        limit 1
    ) as failing on true
    order by webhook.id
) as listed;

-- What operators should hear of since it was asked last: states that began or ended, and things that happened. Each is
-- told once; things of one kind and webhook ten minutes apart, together with what came meanwhile. More than $1 pending
-- deliveries are a backlog, until there are half as many. What has interrupted the planner, if something has, is of the kind $2, since $3, for the reason $4.
-- Deliveries of operational events are told of by none.
with looked as materialized (
    select coalesce(
               (select told_at - interval '30 seconds' from lshookd.operation where kind = 'look'),
               statement_timestamp()
           ) as at
),
look as (
    insert into lshookd.operation (kind, subject)
    values ('look', '')
    on conflict (kind, subject) do update set told_at = excluded.told_at
),
present as materialized (
    select 'webhook-failing' as kind,
           failing_webhook.webhook_id::text as subject,
           failing_webhook.webhook_id,
           null::bigint as quantity,
           failing_webhook.since,
           (
               select failing_lane.last_error
               from lshookd.failing_lane
               where failing_lane.webhook_id = failing_webhook.webhook_id
               order by failing_lane.last_attempt_at desc
               limit 1
           ) as reason
    from lshookd.failing_webhook
    where failing_webhook.since < statement_timestamp() - interval '1 minute'
    union all
    select 'webhook-paused', pause.webhook_id::text, pause.webhook_id, null, pause.failing_since, null
    from lshookd.pause
    where pause.failing_since is not null
    union all
    select 'backlog', '', null, pending.quantity, null, null
    from (select count(*) as quantity from (select from lshookd.delivery where state = 'pending' limit $1::bigint + 1) as counted)
        as pending
    where pending.quantity > $1
       or (pending.quantity > $1 / 2 and exists (select from lshookd.operation where kind = 'backlog'))
    union all
    select 'changes-waiting', '', null, null, oldest.captured_at, null
    from (select captured_at from lshookd.waiting_change order by seq limit 1) as oldest
    where oldest.captured_at < statement_timestamp() - interval '10 minutes'
),
begun as (
    insert into lshookd.operation (kind, subject)
    select kind, subject
    from present
    on conflict (kind, subject) do nothing
    returning kind, subject
),
ended as (
    delete from lshookd.operation as known
    where known.kind in ('webhook-failing', 'webhook-paused', 'backlog', 'changes-waiting')
      and not exists (select from present where present.kind = known.kind and present.subject = known.subject)
    returning known.kind, known.subject, known.told_at
),
dead as materialized (
    select delivery.webhook_id,
           count(*) as quantity,
           min(delivery.ended_at) as since,
           max(delivery.ended_at) as until,
           (array_agg(attempt.error order by delivery.ended_at desc))[1] as reason
    from looked
    cross join lshookd.delivery
    left join lshookd.attempt on attempt.delivery_id = delivery.id and attempt.number = delivery.attempts
    left join lshookd.operation as known on known.kind = 'delivery-dead' and known.subject = delivery.webhook_id::text
    where delivery.state = 'dead'
      and delivery.ended_at > statement_timestamp() - interval '1 hour'
      and delivery.ended_at > coalesce(known.until, looked.at)
      and coalesce(known.told_at, '-infinity') < statement_timestamp() - interval '10 minutes'
      -- Those of operational events, whatever rules have renamed them to.
      and not (
          delivery.project_id = 0
          and exists (
              select from lshookd.chosen_action
              where chosen_action.webhook_id = delivery.webhook_id
                and chosen_action.action = 'OPERATIONAL_EVENT'
          )
      )
    group by delivery.webhook_id
),
happened as materialized (
    select 'delivery-dead' as kind,
           webhook_id::text as subject,
           webhook_id,
           quantity,
           since,
           reason,
           until,
           null::text as mark
    from dead
    union all
    select 'capture-failed', '', null, count(*), min(capture_error.at),
           (array_agg(capture_error.message order by capture_error.at desc))[1], max(capture_error.at), null
    from looked
    cross join lshookd.capture_error
    left join lshookd.operation as known on known.kind = 'capture-failed'
    where capture_error.at > coalesce(known.until, looked.at)
      and coalesce(known.told_at, '-infinity') < statement_timestamp() - interval '10 minutes'
    having count(*) > 0
    union all
    select 'changes-set-aside', '', null, count(*), min(aside.set_aside_at),
           (array_agg(aside.reason order by aside.set_aside_at desc))[1], max(aside.set_aside_at), null
    from looked
    cross join lshookd.change_set_aside as aside
    left join lshookd.operation as known on known.kind = 'changes-set-aside'
    where aside.set_aside_at > coalesce(known.until, looked.at)
      and coalesce(known.told_at, '-infinity') < statement_timestamp() - interval '10 minutes'
    having count(*) > 0
    union all
    select $2::text, '', null, null, $3::timestamptz, $4::text, null, null
    where $2::text is not null
    union all
    -- The first that is seen in a role took it over from nobody. Any number of daemons deliver.
    select case when known.kind is null then 'seen' else 'takeover' end, active_role.role, null, null, active_role.since,
           active_role.role, null, active_role.holder::text
    from lshookd.active_role
    left join lshookd.operation as known on known.kind = 'takeover' and known.subject = active_role.role
    where active_role.role <> 'deliverer'
      and known.mark is distinct from active_role.holder::text
),
noted as (
    insert into lshookd.operation (kind, subject, until, mark)
    select case kind when 'seen' then 'takeover' else kind end, subject, until, mark
    from happened
    on conflict (kind, subject) do update
        set told_at = excluded.told_at,
            until = excluded.until,
            mark = excluded.mark
)
select present.kind, present.webhook_id, present.quantity, present.since, present.reason
from begun
join present on present.kind = begun.kind and present.subject = begun.subject
union all
select case ended.kind
           when 'webhook-failing' then 'webhook-recovered'
           when 'webhook-paused' then 'webhook-resumed'
           when 'backlog' then 'backlog-over'
       end,
       nullif(ended.subject, '')::bigint,
       null,
       ended.told_at,
       null
from ended
where ended.kind <> 'changes-waiting'
  and not (
      ended.kind = 'webhook-failing'
      and (
          ended.subject in (select subject from present where kind = 'webhook-paused')
          or ended.subject not in (select id::text from lshookd.webhook_ids(null) as id)
      )
  )
union all
select happened.kind, happened.webhook_id, happened.quantity, happened.since, happened.reason
from happened
where happened.kind <> 'seen';

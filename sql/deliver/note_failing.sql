-- Keeps up which webhooks only fail, and since when. Those that have for $1 seconds or the time of their own option, and
-- failed again at the end of that time, are paused; with null, or a time of 0 of their own, they are not. Gives those, and
-- each one once after half of that time.
with failing as (
    select webhook_id, max(last_attempt_at) as last_attempt_at
    from lshookd.failing_lane
    where not exists (
        select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = failing_lane.webhook_id
    )
    group by webhook_id
),
ended as (
    delete from lshookd.failing_webhook as known
    -- Something was delivered.
    where exists (
            select from lshookd.delivery
            where delivery.webhook_id = known.webhook_id
              and delivery.state = 'delivered'
              and delivery.ended_at > known.since
        )
       -- It is held back, and begins anew when it is resumed.
       or exists (select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = known.webhook_id)
       -- What failed is skipped, or its webhook is gone: nothing is pending, and what died last did so before.
       or (
            not exists (
                select from lshookd.delivery where delivery.webhook_id = known.webhook_id and delivery.state = 'pending'
            )
            and coalesce(
                (
                    select delivery.ended_at
                    from lshookd.delivery
                    where delivery.webhook_id = known.webhook_id
                      and delivery.state = 'dead'
                    order by delivery.id desc
                    limit 1
                ),
                '-infinity'
            ) <= known.since
        )
    returning known.webhook_id
),
noted as (
    insert into lshookd.failing_webhook (webhook_id)
    select webhook_id
    from failing
    on conflict (webhook_id) do nothing
),
judged as (
    select known.webhook_id,
           known.since,
           known.since <= statement_timestamp() - allowed.lasts
               and failing.last_attempt_at >= known.since + allowed.lasts as is_enough
    from lshookd.failing_webhook as known
    join failing on failing.webhook_id = known.webhook_id
    left join lshookd.delivery_option as own on own.webhook_id = known.webhook_id
    cross join lateral (
        select case
                   when own.pause_after is null then $1::float8 * interval '1 second'
                   else nullif(own.pause_after, interval '0')
               end as lasts
    ) as allowed
    where known.webhook_id not in (select webhook_id from ended)
      and known.since <= statement_timestamp() - allowed.lasts / 2
),
paused as (
    insert into lshookd.pause (webhook_id, failing_since)
    select webhook_id, since
    from judged
    where is_enough
    on conflict do nothing
),
warned as (
    update lshookd.failing_webhook as known
    set is_warned_of = true
    from judged
    where known.webhook_id = judged.webhook_id
      and not known.is_warned_of
    returning known.webhook_id
)
select judged.webhook_id,
       judged.since,
       judged.is_enough as is_paused
from judged
where judged.is_enough
   or judged.webhook_id in (select webhook_id from warned)
order by judged.webhook_id;

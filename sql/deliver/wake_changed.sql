-- Makes the lanes due that wait for what is over: those that are held for a webhook which is delivered again, and those
-- of a deleted webhook, so that what is pending for it is cancelled. Only webhooks that have such lanes are looked at.
with waiting as materialized (
    select webhook_id,
           bool_or(due_at = held_until) is true as is_held
    from lshookd.lane
    where due_at > statement_timestamp()
      and due_at < 'infinity'
    group by webhook_id
),
changed as materialized (
    select waiting.webhook_id,
           webhook.id is null as is_deleted
    from waiting
    left join lshookd.webhook_rows(array(select webhook_id from waiting)) as webhook on webhook.id = waiting.webhook_id
    left join lshookd.adoption on adoption.webhook_id = webhook.id and adoption.released_at is null
    where webhook.id is null
       or (
           waiting.is_held
           and (webhook.is_active or adoption.webhook_id is not null)
           and not exists (
               select from lshookd.pause where pause.webhook_id is null or pause.webhook_id = webhook.id
           )
       )
),
-- Locked in their fixed order, as where attempts are recorded.
woken as materialized (
    select lane.webhook_id, lane.project_id
    from lshookd.lane
    join changed on changed.webhook_id = lane.webhook_id
    where lane.due_at > statement_timestamp()
      and lane.due_at < 'infinity'
      and (changed.is_deleted or lane.due_at = lane.held_until)
    order by lane.webhook_id, lane.project_id
    for update of lane
)
update lshookd.lane
set due_at = clock_timestamp()
from woken
where lane.webhook_id = woken.webhook_id
  and lane.project_id = woken.project_id;

-- Lanes whose next delivery has failed. What has failed is in an index of its own, however much is pending.
create or replace view lshookd.failing_lane as
select lane.webhook_id,
       lane.project_id,
       coalesce(lease.leased_until, lane.due_at) as due_at,
       failed.id as delivery_id,
       failed.attempts,
       attempt.started_at as last_attempt_at,
       attempt.status as last_status,
       attempt.error as last_error
from lshookd.delivery as failed
cross join lateral (
    select first.id
    from lshookd.delivery as first
    where first.webhook_id = failed.webhook_id
      and first.project_id = failed.project_id
      and first.state = 'pending'
    order by first.id
    limit 1
) as next
join lshookd.lane on lane.webhook_id = failed.webhook_id and lane.project_id = failed.project_id
join lshookd.attempt on attempt.delivery_id = failed.id and attempt.number = failed.attempts
left join lshookd.lease on lease.webhook_id = lane.webhook_id and lease.project_id = lane.project_id
where failed.state = 'pending'
  and failed.attempts > failed.schedule_from
  and failed.id = next.id
  and (lane.due_at < 'infinity' or lease.last_id is not null);

comment on view lshookd.failing_lane is
    'One row per webhook and project whose next delivery has failed and is attempted again at due_at.';

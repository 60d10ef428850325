-- Lanes whose next delivery has failed.
create or replace view lshookd.failing_lane as
select lane.webhook_id,
       lane.project_id,
       coalesce(lease.leased_until, lane.due_at) as due_at,
       first.id as delivery_id,
       first.attempts,
       attempt.started_at as last_attempt_at,
       attempt.status as last_status,
       attempt.error as last_error
from lshookd.lane
cross join lateral (
    select delivery.id, delivery.attempts, delivery.schedule_from
    from lshookd.delivery
    where delivery.webhook_id = lane.webhook_id
      and delivery.project_id = lane.project_id
      and delivery.state = 'pending'
    order by delivery.id
    limit 1
) as first
join lshookd.attempt on attempt.delivery_id = first.id and attempt.number = first.attempts
left join lshookd.lease on lease.webhook_id = lane.webhook_id and lease.project_id = lane.project_id
where (lane.due_at < 'infinity' or lease.last_id is not null)
  and first.attempts > first.schedule_from;

comment on view lshookd.failing_lane is
    'One row per webhook and project whose next delivery has failed and is attempted again at due_at.';

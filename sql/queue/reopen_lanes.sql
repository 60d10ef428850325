-- Makes lanes due that sleep although something is pending in them: a planner stored it, and was gone before it opened
-- them. The index delivery_pending is asked for the next lane each time, however much is pending in each.
with recursive pending as (
    (
        select webhook_id, project_id
        from lshookd.delivery
        where state = 'pending'
        order by webhook_id, project_id
        limit 1
    )
    union all
    select following.webhook_id, following.project_id
    from pending
    cross join lateral (
        select delivery.webhook_id, delivery.project_id
        from lshookd.delivery
        where delivery.state = 'pending'
          and (delivery.webhook_id, delivery.project_id) > (pending.webhook_id, pending.project_id)
        order by delivery.webhook_id, delivery.project_id
        limit 1
    ) as following
)
select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => false)
from pending;

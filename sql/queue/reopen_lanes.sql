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
),
due as (
    insert into lshookd.lane as lane (webhook_id, project_id, due_at)
    select webhook_id, project_id, now()
    from pending
    order by webhook_id, project_id
    on conflict (webhook_id, project_id) do update
        set due_at = excluded.due_at
        where lane.due_at = 'infinity'
    returning 1
)
select lshookd.announce_lanes()
where exists (select from due);

-- The lanes that are due and that nobody works on, the longest waiting first, and the first
-- one that is not due yet. The URL is that of the subscription now; a lane whose subscription
-- is gone has none.
(
    select lane.webhook_id,
           lane.project_id,
           coalesce(webhook.url, '')::text as url,
           0::float8 as wait,
           clock_timestamp() as now
    from lshookd.lane
    left join webhook on webhook.id = lane.webhook_id
    where lane.due_at <= clock_timestamp()
      and (lane.webhook_id, lane.project_id) not in (select * from unnest($1::bigint[], $2::bigint[]))
    order by lane.due_at
    limit $3
)
union all
(
    select webhook_id,
           project_id,
           '' as url,
           greatest(extract(epoch from due_at - clock_timestamp())::float8, 0.001) as wait,
           clock_timestamp() as now
    from lshookd.lane
    where due_at > clock_timestamp()
      and due_at < 'infinity'
    order by due_at
    limit 1
);

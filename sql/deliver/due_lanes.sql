-- The lanes that are due, without those in $1 and $2 that are worked on, the longest waiting first, $3 at most; and
-- in how many seconds the first one is due that is not yet. The URL is that of the webhook now; a lane whose webhook
-- is deleted has none.
with due as materialized (
    select lane.webhook_id,
           lane.project_id,
           lane.due_at
    from lshookd.lane
    where lane.due_at <= clock_timestamp()
      and (lane.webhook_id, lane.project_id) not in (select * from unnest($1::bigint[], $2::bigint[]))
    order by lane.due_at
    limit $3
),
webhook as materialized (
    select id, url
    from lshookd.webhook_rows((select coalesce(array_agg(distinct webhook_id), '{}') from due))
)
(
    select due.webhook_id,
           due.project_id,
           coalesce(webhook.url, '') as url,
           null::float8 as wait,
           clock_timestamp() as now
    from due
    left join webhook on webhook.id = due.webhook_id
    order by due.due_at
)
union all
(
    select lane.webhook_id,
           lane.project_id,
           '' as url,
           greatest(extract(epoch from lane.due_at - clock_timestamp())::float8, 0) as wait,
           clock_timestamp() as now
    from lshookd.lane
    where lane.due_at > clock_timestamp()
      and lane.due_at < 'infinity'
    order by lane.due_at
    limit 1
);

-- The lanes that are due, without those in $1 and $2 that are worked on and those of the webhooks in $4 that have
-- their share, the longest waiting first, $3 at most; and in how many seconds the first one is due that is not yet.
(
    select lane.webhook_id,
           lane.project_id,
           null::float8 as wait,
           clock_timestamp() as now
    from lshookd.lane
    where lane.due_at <= statement_timestamp()
      and (lane.webhook_id, lane.project_id) not in (select * from unnest($1::bigint[], $2::bigint[]))
      and lane.webhook_id not in (select unnest($4::bigint[]))
    order by lane.due_at
    limit $3
)
union all
(
    select lane.webhook_id,
           lane.project_id,
           greatest(extract(epoch from lane.due_at - clock_timestamp())::float8, 0) as wait,
           clock_timestamp() as now
    from lshookd.lane
    where lane.due_at > statement_timestamp()
      and lane.due_at < 'infinity'
    order by lane.due_at
    limit 1
);

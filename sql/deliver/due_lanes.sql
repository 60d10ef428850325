-- The lanes that are due and that this daemon ($5) works on from now on, the longest waiting first, $3 at most: without
-- those in $1 and $2, that it works on already, those of the webhooks in $4 that have their share, and those that another
-- daemon works on. They are its own until it closes them, waits to retry, or releases them.
--
-- Where several daemons ($6) deliver, it takes its part of those that are nobody's, and leaves the others to them until
-- they have waited for a second; with $7 all of them, and those of the webhooks in $8 for good.
--
-- Then, without a webhook, in how many seconds the first lane is due that is not yet, how many daemons deliver, and whether
-- lanes were left.
with candidate as materialized (
    select webhook_id,
           project_id,
           due_at,
           coalesce(holder = $5::uuid, false) as is_own
    from lshookd.lane
    where due_at <= statement_timestamp()
      and (webhook_id, project_id) not in (select * from unnest($1::bigint[], $2::bigint[]))
      and webhook_id not in (select unnest($4::bigint[] || $8::bigint[]))
      and (
          holder is null
          or holder = $5::uuid
          or holder not in (select active_role.holder from lshookd.active_role where active_role.role = 'deliverer')
      )
    order by due_at
    limit $3
),
-- The longest waiting first, as far as they are this daemon's part.
free as (
    select webhook_id,
           project_id,
           due_at <= statement_timestamp() - interval '1 second'
               or (not $7::boolean and row_number() over (order by due_at) <= ceil(count(*) over ()::numeric / $6::bigint)) as is_taken
    from candidate
    where not is_own
),
-- Others may have taken some since, and may be about to.
locked as materialized (
    select lane.webhook_id, lane.project_id
    from free
    join lshookd.lane on lane.webhook_id = free.webhook_id and lane.project_id = free.project_id
    where free.is_taken
      and lane.due_at <= statement_timestamp()
      and (
          lane.holder is null
          or lane.holder not in (select active_role.holder from lshookd.active_role where active_role.role = 'deliverer')
      )
    order by lane.webhook_id, lane.project_id
    for update of lane skip locked
),
taken as (
    update lshookd.lane
    set holder = $5::uuid
    from locked
    where lane.webhook_id = locked.webhook_id
      and lane.project_id = locked.project_id
    returning lane.webhook_id, lane.project_id, lane.due_at
),
begun as (
    select webhook_id, project_id, due_at
    from candidate
    where is_own
    union all
    select webhook_id, project_id, due_at
    from taken
    order by due_at
)
select webhook_id,
       project_id,
       null::float8 as wait,
       null::bigint as deliverers,
       null::boolean as has_left,
       null::timestamptz as now
from begun
union all
select null,
       null,
       (
           select greatest(extract(epoch from lane.due_at - clock_timestamp())::float8, 0)
           from lshookd.lane
           where lane.due_at > statement_timestamp()
             and lane.due_at < 'infinity'
           order by lane.due_at
           limit 1
       ),
       (select count(*) from lshookd.active_role where role = 'deliverer'),
       exists (select from free where not is_taken),
       clock_timestamp();

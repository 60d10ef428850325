-- Makes lanes due in which nothing was pending, and tells which; one that waits to retry goes on waiting, and one that
-- consumers pull from is never due, but announced. Lanes that are due are the daemon's $3, which hears of them otherwise;
-- with null they are nobody's, and announced. The fixed order of the locks
-- keeps this from a deadlock with the recording of attempts. After the transaction that stored the deliveries, not in
-- it: that has a snapshot of its beginning, and a lane that was closed since would end it.
with given as materialized (
    select webhook_id,
           project_id,
           exists (select from lshookd.puller where puller.webhook_id = listed.webhook_id) as is_pulled
    from unnest($1::bigint[], $2::bigint[]) as listed (webhook_id, project_id)
    group by webhook_id, project_id
),
opened as (
    insert into lshookd.lane as lane (webhook_id, project_id, due_at, holder)
    select webhook_id,
           project_id,
           case when is_pulled then 'infinity' else now() end,
           case when not is_pulled then $3::uuid end
    from given
    order by webhook_id, project_id
    on conflict (webhook_id, project_id) do update
        set due_at = excluded.due_at,
            holder = excluded.holder
        where lane.due_at = 'infinity' and excluded.due_at < 'infinity'
    returning webhook_id, project_id, due_at
),
due as (
    select webhook_id, project_id
    from opened
    where due_at < 'infinity'
),
announced as materialized (
    select lshookd.announce_lanes()
    where ($3::uuid is null and exists (select from due))
       or exists (select from given where is_pulled)
)
select webhook_id, project_id
from due
union all
select null, null
from announced;

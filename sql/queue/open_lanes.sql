-- Makes lanes due in which nothing was pending; one that waits to retry goes on waiting. The fixed order of the locks
-- keeps this from a deadlock with the recording of attempts. After the transaction that stored the deliveries, not in
-- it: that has a snapshot of its beginning, and a lane that was closed since would end it.
with due as (
    insert into lshookd.lane as lane (webhook_id, project_id, due_at)
    select distinct webhook_id, project_id, now()
    from unnest($1::bigint[], $2::bigint[]) as given (webhook_id, project_id)
    order by webhook_id, project_id
    on conflict (webhook_id, project_id) do update
        set due_at = excluded.due_at
        where lane.due_at = 'infinity'
    returning 1
)
select lshookd.announce_lanes()
where exists (select from due);

-- Makes deliveries pending again that have ended, each under the id that its endpoint knows. Returns how many
-- there were.
create or replace function lshookd.replay(deliveries bigint[]) returns bigint
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with replayed as (
        update lshookd.delivery
        set state = 'pending',
            ended_at = null,
            schedule_from = attempts
        where id = any (deliveries)
          and state <> 'pending'
        returning webhook_id, project_id
    ),
    due as (
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select distinct webhook_id, project_id, now()
        from replayed
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = excluded.due_at
            where lane.due_at = 'infinity'
        returning 1
    ),
    announced as (
        select lshookd.announce_lanes()
        where exists (select from due)
    )
    select count(*) from replayed left join announced on true
$$;

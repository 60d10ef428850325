-- Makes the next attempt of pending deliveries due now: their lanes are worked on at once, from the oldest delivery
-- on. The place in the retry schedule stays. Returns how many there were.
create or replace function lshookd.retry(deliveries bigint[]) returns bigint
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with retried as (
        select webhook_id, project_id
        from lshookd.delivery
        where id = any (deliveries)
          and state = 'pending'
    ),
    due as (
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select distinct webhook_id, project_id, now()
        from retried
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = excluded.due_at
        returning 1
    ),
    announced as (
        select lshookd.announce_lanes()
        where exists (select from due)
    )
    select count(*) from retried left join announced on true
$$;

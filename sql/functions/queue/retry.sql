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
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => true)
        from retried
    )
    select count(retried) from retried right join due on true
$$;

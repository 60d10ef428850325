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
        select lshookd.make_lanes_due(array_agg(webhook_id), array_agg(project_id), at_once => false)
        from replayed
    )
    select count(replayed) from replayed right join due on true
$$;

-- Makes the lanes of deliveries due: those in which nothing was pending and, with at_once, also those that wait to
-- retry; lanes that consumers pull from are never due, but told of. What is pending may be older than all that has ended.
-- webhooks and projects are parallel arrays. The planner's own way is sql/queue/open_lanes.sql, a statement that stays
-- prepared, where a function's would be planned anew in each call.
create or replace function lshookd.make_lanes_due(webhooks bigint[], projects bigint[], at_once boolean) returns void
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with given as materialized (
        select webhook_id,
               project_id,
               exists (select from lshookd.puller where puller.webhook_id = listed.webhook_id) as is_pulled
        from unnest(webhooks, projects) as listed (webhook_id, project_id)
        group by webhook_id, project_id
    ),
    due as (
        insert into lshookd.lane as lane (webhook_id, project_id, due_at)
        select webhook_id, project_id, case when is_pulled then 'infinity' else now() end
        from given
        order by webhook_id, project_id
        on conflict (webhook_id, project_id) do update
            set due_at = case
                    when excluded.due_at < 'infinity' and (at_once or lane.due_at = 'infinity') then excluded.due_at
                    else lane.due_at
                end,
                ended_up_to = 0
        returning 1
    )
    select lshookd.announce_lanes()
    where exists (select from due)
       or exists (select from given where is_pulled)
$$;

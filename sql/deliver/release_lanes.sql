-- Leaves lanes to other daemons that are this one's ($6) and due, and tells the others: those in $1 and $2, and all of the
-- webhooks in $3 but those in $4 and $5, that it still works on. They are locked in their fixed order, as where attempts
-- are recorded.
with own as materialized (
    select webhook_id, project_id
    from lshookd.lane
    where holder = $6::uuid
      and due_at <= statement_timestamp()
      and (
          (webhook_id, project_id) in (select * from unnest($1::bigint[], $2::bigint[]))
          or (
              webhook_id = any ($3::bigint[])
              and (webhook_id, project_id) not in (select * from unnest($4::bigint[], $5::bigint[]))
          )
      )
    order by webhook_id, project_id
    for update
),
released as (
    update lshookd.lane
    -- Whoever has fewer takes them; others only when they have waited from now on.
    set holder = null,
        due_at = clock_timestamp()
    from own
    where lane.webhook_id = own.webhook_id
      and lane.project_id = own.project_id
    returning 1
)
select lshookd.announce_lanes()
where exists (select from released);

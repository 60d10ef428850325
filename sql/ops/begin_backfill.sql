-- Goes on with the unfinished backfill of the same kind, or begins one.
with unfinished as (
    select id, after_id, announced
    from lshookd.backfill
    where webhook_id = $1
      and action = $2
      and project_id is not distinct from $3
      and finished_at is null
    order by id desc
    limit 1
),
begun as (
    insert into lshookd.backfill (webhook_id, action, project_id)
    select $1, $2, $3
    where not exists (select from unfinished)
    returning id, after_id, announced
)
select * from unfinished
union all
select * from begun;

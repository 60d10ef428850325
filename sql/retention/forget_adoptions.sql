-- Forgets who delivered webhooks that are deleted, and that they were paused; and the lanes that they had.
with gone as (
    delete from lshookd.adoption
    where webhook_id not in (select * from lshookd.webhook_ids(null))
),
closed as (
    delete from lshookd.lane
    where due_at = 'infinity'
      and webhook_id not in (select * from lshookd.webhook_ids(null))
)
delete from lshookd.pause
where webhook_id is not null
  and webhook_id not in (select * from lshookd.webhook_ids(null));

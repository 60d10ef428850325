-- Deletes at most a thousand deliveries that were delivered, cancelled or skipped so many seconds ago;
-- their attempts go along. Dead ones are kept until somebody deletes them.
with old as (
    select id
    from lshookd.delivery
    where state in ('delivered', 'cancelled', 'skipped')
      and ended_at < statement_timestamp() - $1::float8 * interval '1 second'
    order by ended_at
    limit 1000
)
delete from lshookd.delivery
using old
where delivery.id = old.id
returning delivery.event_id;

-- Ends the leases of a webhook ($1) that are over without an acknowledgement. Of each lane the first event that was not
-- acknowledged is the one that failed, which is dead after $2 attempts; those behind it were perhaps not begun.
-- No row where none is over.
with overdue as (
    update lshookd.lease
    set is_held = false,
        one_by_one = exists (
            select from lshookd.given_delivery as given
            where given.webhook_id = lease.webhook_id and given.project_id = lease.project_id
        )
    where webhook_id = $1::bigint
      and is_held
      and leased_until <= statement_timestamp()
    returning project_id
),
first as (
    select head.*
    from overdue
    cross join lateral (
        select given.id, given.leased_at, given.consumer
        from lshookd.given_delivery as given
        where given.webhook_id = $1 and given.project_id = overdue.project_id
        order by given.id
        limit 1
    ) as head
)
select counted.failed,
       counted.dead
from (
    select array_agg(id) as ids, array_agg(leased_at) as moments, array_agg(consumer) as consumers
    from first
    having count(*) > 0
) as listed
cross join lateral lshookd.fail_given(
    listed.ids, listed.moments, listed.consumers, 'the lease ended and the consumer had not acknowledged it', $2::integer
) as counted;

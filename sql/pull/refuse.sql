-- Gives back events that a consumer of a webhook ($1) has been given and could not handle: those with the ids $2, for
-- the reason $3, at the address $4. Each counts as a failed attempt and is dead after $5. Their lanes are given again
-- after $6 seconds, from the oldest event on that was not acknowledged. No row where
-- it was given none of them.
with given as materialized (
    select id, project_id, leased_at
    from lshookd.given_delivery
    where webhook_id = $1::bigint
      and message_id = any ($2::uuid[])
),
ended as (
    update lshookd.lease
    set is_held = false,
        leased_until = clock_timestamp() + $6::float8 * interval '1 second',
        one_by_one = false
    where webhook_id = $1
      and project_id in (select project_id from given)
)
select counted.failed,
       counted.dead
from (
    select array_agg(id) as ids, array_agg(leased_at) as moments, array_agg($4::inet) as consumers
    from given
    having count(*) > 0
) as listed
cross join lateral lshookd.fail_given(
    listed.ids, listed.moments, listed.consumers, 'the consumer refused it: ' || $3::text, $5::integer
) as counted;

-- Lets lanes sleep in which nothing waits, and tells of each by its place whether it does. They are
-- locked in their fixed order, as where attempts are recorded. All deliveries up to $3 are there, or will never be.
select given.place,
       lshookd.close_lane(given.webhook_id, given.project_id, $3::bigint) as closed
from (
    select *
    from unnest($1::bigint[], $2::bigint[]) with ordinality as listed (webhook_id, project_id, place)
    order by webhook_id, project_id
) as given;

-- Lets lanes sleep in which nothing waits, but those that are kept open ($3), and tells of each by its place whether
-- nothing does. They are locked in their fixed order, as where attempts are recorded. All deliveries up to $4 are there, or
-- will never be.
select given.place,
       lshookd.close_lane(given.webhook_id, given.project_id, given.keeps_open, $4::bigint) as is_empty
from (
    select *
    from unnest($1::bigint[], $2::bigint[], $3::boolean[]) with ordinality as listed (webhook_id, project_id, keeps_open, place)
    order by webhook_id, project_id
) as given;

-- Gives a role up, so that another daemon need not wait until the heartbeat is old; those that deliver are told.
with ended as (
    delete from lshookd.active_role
    where role = $1::text
      and holder = $2::uuid
    returning role
)
select lshookd.announce_lanes()
from ended
where role = 'deliverer';

-- Gives a role up, so that another daemon need not wait until the heartbeat is old.
delete from lshookd.active_role
where role = $1::text
  and holder = $2::uuid;

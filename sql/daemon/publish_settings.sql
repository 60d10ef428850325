-- Publishes the settings of a daemon ($1), and forgets those of daemons that are active in no role any more.
with gone as (
    delete from lshookd.daemon_setting
    where holder <> $1::uuid
      and holder not in (select active_role.holder from lshookd.active_role)
)
insert into lshookd.daemon_setting as setting (holder, key, value, origin)
select $1::uuid, given.key, given.value, given.origin
from unnest($2::text[], $3::text[], $4::text[]) as given (key, value, origin)
on conflict (holder, key) do update
    set value = excluded.value,
        origin = excluded.origin;

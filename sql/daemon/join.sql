-- A daemon ($1) begins to deliver, and tells those that do already.
with joined as (
    insert into lshookd.active_role (role, holder)
    values ('deliverer', $1::uuid)
    on conflict (role, holder) do update
        set backend = excluded.backend,
            since = excluded.since,
            beat_at = excluded.beat_at
    returning role
)
select lshookd.announce_lanes()
from joined;

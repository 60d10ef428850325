-- Says, for two minutes, what of a daemon ($1) does not work ($2) and why ($3); and forgets what others said long ago.
with old as (
    delete from lshookd.daemon_fault
    where seen_at < statement_timestamp() - interval '1 day'
      and holder <> $1::uuid
)
insert into lshookd.daemon_fault as noted (holder, fault, message)
values ($1::uuid, $2::text, $3::text)
on conflict (holder, fault) do update
    set message = excluded.message,
        seen_at = excluded.seen_at;

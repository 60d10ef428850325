-- The heartbeat of a daemon ($2) in a role ($1) that one daemon has at a time: it takes the role, or keeps it. No row where
-- another daemon has it whose heart beat within $3 seconds.
insert into lshookd.active_role as active (role, holder)
values ($1::text, $2::uuid)
on conflict (role) where role <> 'deliverer' do update
    set holder = excluded.holder,
        backend = excluded.backend,
        since = case when active.holder = excluded.holder and active.backend = excluded.backend then active.since else excluded.since end,
        beat_at = excluded.beat_at
    where active.holder = excluded.holder
       or active.beat_at < statement_timestamp() - $3::float8 * interval '1 second'
returning role;

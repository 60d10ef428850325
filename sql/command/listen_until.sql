-- Says for a minute that somebody listens.
insert into lshookd.listener (id, listens_until)
values ($1, clock_timestamp() + interval '1 minute')
on conflict (id) do update set listens_until = excluded.listens_until;

-- Says for a minute that somebody taps.
insert into lshookd.tap (id, taps_until)
values ($1, clock_timestamp() + interval '1 minute')
on conflict (id) do update set taps_until = excluded.taps_until;

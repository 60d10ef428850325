-- Keeps how the connections of a client were seen to end.
insert into lshookd.client as client (role, address, application, closed, lived_on)
values ($1::text, $2::text, $3::text, $4::integer, $5::integer)
on conflict (role, address, application) do update
    set closed = excluded.closed,
        lived_on = excluded.lived_on
    where (client.closed, client.lived_on) is distinct from (excluded.closed, excluded.lived_on);

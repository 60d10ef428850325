-- Writes a rule; one of that name goes on from where it was.
insert into lshookd.rule
    (name, webhook, actions, condition, once, after, at_most_every, announce_as, template, parameters)
values ($1::text, $2::bigint, $3::text[], $4::text, $5::boolean, $6::integer, make_interval(secs => $7::float8),
        $8::text, $9::text, $10::jsonb)
on conflict (name) do update
    set webhook = excluded.webhook,
        actions = excluded.actions,
        condition = excluded.condition,
        once = excluded.once,
        after = excluded.after,
        at_most_every = excluded.at_most_every,
        announce_as = excluded.announce_as,
        template = excluded.template,
        parameters = excluded.parameters;

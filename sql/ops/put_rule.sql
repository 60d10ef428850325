-- Writes a rule; one of that name goes on from where it was.
insert into lshookd.rule
    (name, webhook_id, actions, condition, on_transition, threshold, throttle, rename_action, template, parameters)
values ($1::text, $2::bigint, $3::text[], $4::text, $5::boolean, $6::integer, make_interval(secs => $7::float8),
        $8::text, $9::text, $10::jsonb)
on conflict (name) do update
    set webhook_id = excluded.webhook_id,
        actions = excluded.actions,
        condition = excluded.condition,
        on_transition = excluded.on_transition,
        threshold = excluded.threshold,
        throttle = excluded.throttle,
        rename_action = excluded.rename_action,
        template = excluded.template,
        parameters = excluded.parameters;

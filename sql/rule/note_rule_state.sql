-- Notes how far a rule has come in a project, and the event that it throttles now.
insert into lshookd.rule_state as state
    (rule, project_id, was_true, counted, passed_at, throttled_action, throttled_body, throttled_at, throttled_objects)
values ($1::text, $2::bigint, $3::boolean, $4::bigint, $5::timestamptz, $6::text, $7::text, $8::timestamptz, $9::integer)
on conflict (rule, project_id) do update
    set was_true = excluded.was_true,
        counted = excluded.counted,
        passed_at = excluded.passed_at,
        throttled_action = coalesce(excluded.throttled_action, case when $10::boolean then state.throttled_action end),
        throttled_body = coalesce(excluded.throttled_body, case when $10::boolean then state.throttled_body end),
        throttled_at = coalesce(excluded.throttled_at, case when $10::boolean then state.throttled_at end),
        throttled_objects = coalesce(excluded.throttled_objects, case when $10::boolean then state.throttled_objects end);

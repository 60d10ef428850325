-- Notes how far a rule has come in a project, and what it holds back now.
insert into lshookd.rule_state as state
    (rule, project_id, was_true, counted, let_through_at, held_action, held_body, held_at, held_objects)
values ($1::text, $2::bigint, $3::boolean, $4::bigint, $5::timestamptz, $6::text, $7::text, $8::timestamptz, $9::integer)
on conflict (rule, project_id) do update
    set was_true = excluded.was_true,
        counted = excluded.counted,
        let_through_at = excluded.let_through_at,
        held_action = coalesce(excluded.held_action, case when $10::boolean then state.held_action end),
        held_body = coalesce(excluded.held_body, case when $10::boolean then state.held_body end),
        held_at = coalesce(excluded.held_at, case when $10::boolean then state.held_at end),
        held_objects = coalesce(excluded.held_objects, case when $10::boolean then state.held_objects end);

-- Takes what rules have held back for as long as they wanted to.
update lshookd.rule_state as state
set let_through_at = clock_timestamp(),
    held_action = null,
    held_body = null,
    held_at = null,
    held_objects = null
from lshookd.rule_state as held
join lshookd.rule on rule.name = held.rule
where held.held_body is not null
  and coalesce(held.let_through_at + rule.at_most_every, '-infinity') <= clock_timestamp()
  and state.rule = held.rule
  and state.project_id = held.project_id
returning rule.webhook,
          state.project_id,
          held.held_action as action,
          held.held_body as body,
          held.held_at as occurred_at,
          held.held_objects as objects;

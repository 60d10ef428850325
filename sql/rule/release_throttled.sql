-- Takes the events that rules have throttled for long enough.
update lshookd.rule_state as state
set passed_at = clock_timestamp(),
    throttled_action = null,
    throttled_body = null,
    throttled_at = null,
    throttled_objects = null
from lshookd.rule_state as throttled
join lshookd.rule on rule.name = throttled.rule
where throttled.throttled_body is not null
  and coalesce(throttled.passed_at + rule.throttle, '-infinity') <= statement_timestamp()
  and state.rule = throttled.rule
  and state.project_id = throttled.project_id
returning rule.webhook_id,
          state.project_id,
          throttled.throttled_action as action,
          throttled.throttled_body as body,
          throttled.throttled_at as occurred_at,
          throttled.throttled_objects as objects;

-- In how many seconds the next throttled event is due.
select extract(epoch from min(state.passed_at + rule.throttle) - clock_timestamp())::float8 as seconds
from lshookd.rule_state as state
join lshookd.rule on rule.name = state.rule
where state.throttled_body is not null;

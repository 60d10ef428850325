-- In how many seconds the next event is let through that a rule holds back.
select extract(epoch from min(state.let_through_at + rule.at_most_every) - clock_timestamp())::float8 as seconds
from lshookd.rule_state as state
join lshookd.rule on rule.name = state.rule
where state.held_body is not null;

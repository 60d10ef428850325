-- The rules, and how many events each throttles in all projects.
select written_rule.rule,
       (
           select count(state.throttled_body)
           from lshookd.rule_state as state
           where state.rule = written_rule.name
       ) as throttled
from lshookd.written_rule
order by written_rule.name;

-- The rules, and how many events each holds back in all projects.
select written_rule.rule,
       (
           select count(state.held_body)
           from lshookd.rule_state as state
           where state.rule = written_rule.name
       ) as held
from lshookd.written_rule
order by written_rule.name;

-- The rules, and how far each has come in all projects.
select json_build_object(
           'name', rule.name,
           'webhook', rule.webhook,
           'actions', rule.actions,
           'condition', rule.condition,
           'once', rule.once,
           'after', rule.after,
           'at_most_every', 'PT' || extract(epoch from rule.at_most_every) || 'S',
           'announce_as', rule.announce_as,
           'template', rule.template,
           'parameters', rule.parameters
       ) as rule,
       count(state.rule) as projects,
       count(state.held_body) as held
from lshookd.rule
left join lshookd.rule_state as state on state.rule = rule.name
group by rule.name
order by rule.name;

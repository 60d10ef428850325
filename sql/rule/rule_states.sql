-- How far rules have come in a project.
select rule,
       was_true,
       counted,
       passed_at
from lshookd.rule_state
where rule = any ($1::text[])
  and project_id = $2::bigint;

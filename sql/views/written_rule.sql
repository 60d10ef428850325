-- Rules in the form of a file, the interval in ISO 8601.
create or replace view lshookd.written_rule as
select name,
       webhook_id,
       json_build_object(
           'name', name,
           'webhook', webhook_id,
           'actions', actions,
           'condition', condition,
           'on_transition', on_transition,
           'threshold', threshold,
           'throttle', 'PT' || extract(epoch from throttle) || 'S',
           'rename_action', rename_action,
           'template', template,
           'parameters', parameters
       ) as rule
from lshookd.rule;

comment on view lshookd.written_rule is
    'Rules as JSON, in the form of a file.';

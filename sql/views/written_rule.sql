-- Rules in the form of a file, the interval in ISO 8601.
create or replace view lshookd.written_rule as
select name,
       webhook,
       json_build_object(
           'name', name,
           'webhook', webhook,
           'actions', actions,
           'condition', condition,
           'once', once,
           'after', after,
           'at_most_every', 'PT' || extract(epoch from at_most_every) || 'S',
           'announce_as', announce_as,
           'template', template,
           'parameters', parameters
       ) as rule
from lshookd.rule;

comment on view lshookd.written_rule is
    'Rules as JSON, in the form of a file.';

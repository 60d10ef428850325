-- Takes the tasks that an import has made.
with taken as (
    delete from lshookd.change
    where relation = 'task' and operation = 'insert'
    returning ids
)
select array_agg(given.id order by given.id) as ids
from taken
cross join unnest(taken.ids) as given (id);

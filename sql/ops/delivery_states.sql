-- The states of deliveries, by their numbers; null where there is none.
select given.id,
       delivery.state
from unnest($1::bigint[]) as given (id)
left join lshookd.delivery on delivery.id = given.id
order by given.id;

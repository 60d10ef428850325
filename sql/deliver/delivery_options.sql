-- How requests to a webhook ($1) are made: its own timeouts in seconds, whether an answer is awaited, and whether it is
-- that of an ML backend.
select extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout,
       extract(epoch from delivery_option.answer_timeout)::float8 as answer_timeout,
       coalesce(delivery_option.await_answer, true) as await_answer,
       exists (select from lshookd.ml_backend_webhooks(array[given.id])) as is_ml_backend
from (select $1::bigint as id) as given
left join lshookd.delivery_option on delivery_option.webhook_id = given.id;

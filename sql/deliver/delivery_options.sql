-- How requests to a webhook ($1) are made: its own timeouts, pauses and age in seconds, whether an answer is awaited, how
-- many requests there may be in a second and at once, the proxy, and whether it is that of an ML backend.
select extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout,
       extract(epoch from delivery_option.answer_timeout)::float8 as answer_timeout,
       coalesce(delivery_option.await_answer, true) as await_answer,
       (
           select array_agg(extract(epoch from pause)::float8 order by place)
           from unnest(delivery_option.retry_schedule) with ordinality as listed (pause, place)
       ) as retry_schedule,
       extract(epoch from delivery_option.maximum_age)::float8 as maximum_age,
       delivery_option.rate_limit,
       delivery_option.concurrency,
       delivery_option.proxy,
       exists (select from lshookd.ml_backend_webhooks(array[given.id])) as is_ml_backend
from (select $1::bigint as id) as given
left join lshookd.delivery_option on delivery_option.webhook_id = given.id;

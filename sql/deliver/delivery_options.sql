-- How requests to webhooks ($1) are made: their own timeouts, pauses and age in seconds, whether an answer is awaited, how
-- many requests there may be in a second and at once, the proxy, and whether a webhook is that of an ML backend.
select given.id as webhook_id,
       extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout,
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
       given.id in (select lshookd.ml_backend_webhooks($1::bigint[])) as is_ml_backend
from unnest($1::bigint[]) as given (id)
left join lshookd.delivery_option on delivery_option.webhook_id = given.id;

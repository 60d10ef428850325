-- The webhooks of ML backends, and those whose requests are made in another manner than others', each with how.
select row_to_json(listed) as row
from (
    select webhook.id,
           extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout_seconds,
           extract(epoch from delivery_option.answer_timeout)::float8 as answer_timeout_seconds,
           coalesce(delivery_option.await_answer, true) as await_answer,
           (
               select array_agg(extract(epoch from pause)::float8 order by place)
               from unnest(delivery_option.retry_schedule) with ordinality as listed (pause, place)
           ) as retry_schedule_seconds,
           extract(epoch from delivery_option.maximum_age)::float8 as maximum_age_seconds,
           delivery_option.rate_limit,
           delivery_option.concurrency,
           -- Without its credentials.
           regexp_replace(delivery_option.proxy, '^http://.*@', 'http://') as proxy,
           backend.id is not null as is_ml_backend
    from lshookd.webhook_ids(null) as webhook (id)
    left join lshookd.ml_backend_webhooks(null) as backend (id) on backend.id = webhook.id
    left join lshookd.delivery_option on delivery_option.webhook_id = webhook.id
    where backend.id is not null
       or delivery_option.connect_timeout is not null
       or delivery_option.answer_timeout is not null
       or not delivery_option.await_answer
       or delivery_option.retry_schedule is not null
       or delivery_option.maximum_age is not null
       or delivery_option.rate_limit is not null
       or delivery_option.concurrency is not null
       or delivery_option.proxy is not null
    order by webhook.id
) as listed;

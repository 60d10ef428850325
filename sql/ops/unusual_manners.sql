-- The webhooks of ML backends and those whose answers are not awaited, each with how its requests are made.
select row_to_json(listed) as row
from (
    select webhook.id,
           extract(epoch from delivery_option.connect_timeout)::float8 as connect_timeout_seconds,
           extract(epoch from delivery_option.answer_timeout)::float8 as answer_timeout_seconds,
           coalesce(delivery_option.await_answer, true) as await_answer,
           backend.id is not null as is_ml_backend
    from lshookd.webhook_ids(null) as webhook (id)
    left join lshookd.ml_backend_webhooks(null) as backend (id) on backend.id = webhook.id
    left join lshookd.delivery_option on delivery_option.webhook_id = webhook.id
    where backend.id is not null or not delivery_option.await_answer
    order by webhook.id
) as listed;

-- The webhooks of ML backends, and those whose requests are made in another manner than others', each with how.
select row_to_json(listed) as row
from (
    select webhook.id,
           manner.connect_timeout_seconds,
           manner.answer_timeout_seconds,
           coalesce(manner.await_answer, true) as await_answer,
           manner.retry_schedule_seconds,
           manner.maximum_age_seconds,
           manner.rate_limit,
           manner.concurrency,
           manner.proxy,
           manner.pause_after_seconds,
           backend.id is not null as is_ml_backend
    from lshookd.webhook_ids(null) as webhook (id)
    left join lshookd.ml_backend_webhooks(null) as backend (id) on backend.id = webhook.id
    left join lshookd.webhook_manner as manner on manner.webhook_id = webhook.id
    where backend.id is not null
       or manner.is_own
    order by webhook.id
) as listed;

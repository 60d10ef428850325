-- The webhooks of ML backends, and those whose requests are made in another manner than others', each with how.
with backend as materialized (
    select lshookd.ml_backend_webhooks(null) as id
),
unusual as materialized (
    select array(
        select id
        from backend
        union
        select webhook_id
        from lshookd.webhook_manner
        where is_own
    ) as ids
)
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
    from unusual
    cross join lshookd.webhook_ids(unusual.ids) as webhook (id)
    left join backend on backend.id = webhook.id
    left join lshookd.webhook_manner as manner on manner.webhook_id = webhook.id
    order by webhook.id
) as listed;

-- How requests to each webhook are made, where it is not as the settings say; the proxy without its credentials.
create or replace view lshookd.webhook_manner as
select webhook_id,
       extract(epoch from connect_timeout)::float8 as connect_timeout_seconds,
       extract(epoch from answer_timeout)::float8 as answer_timeout_seconds,
       await_answer,
       (
           select array_agg(extract(epoch from pause)::float8 order by place)
           from unnest(retry_schedule) with ordinality as listed (pause, place)
       ) as retry_schedule_seconds,
       extract(epoch from maximum_age)::float8 as maximum_age_seconds,
       rate_limit,
       concurrency,
       regexp_replace(proxy, '^http://.*@', 'http://') as proxy,
       extract(epoch from pause_after)::float8 as pause_after_seconds,
       connect_timeout is not null
           or answer_timeout is not null
           or not await_answer
           or retry_schedule is not null
           or maximum_age is not null
           or rate_limit is not null
           or concurrency is not null
           or proxy is not null
           or pause_after is not null as is_own
from lshookd.delivery_option;

comment on view lshookd.webhook_manner is
    'How requests to webhooks are made, in seconds and requests per second, where it is not as the settings say.';

-- Changes of the delivery options of a webhook ($1) what is not null; a timeout, an age, a rate or a quantity of 0,
-- a schedule without pauses, the proxy default and a negative time until it is paused ($10) are as the settings say again.
insert into lshookd.delivery_option as delivery_option
    (webhook_id, connect_timeout, answer_timeout, await_answer, retry_schedule, maximum_age, rate_limit, concurrency,
     proxy, pause_after)
values (
    $1::bigint,
    nullif($2::float8, 0) * interval '1 second',
    nullif($3::float8, 0) * interval '1 second',
    coalesce($4::boolean, true),
    (
        select array_agg(seconds * interval '1 second' order by place)
        from unnest($5::float8[]) with ordinality as pause (seconds, place)
    ),
    nullif($6::float8, 0) * interval '1 second',
    nullif($7::float8, 0),
    nullif($8::integer, 0),
    nullif($9::text, 'default'),
    case when $10::float8 >= 0 then $10 * interval '1 second' end
)
on conflict (webhook_id) do update
    set connect_timeout = case when $2 is null then delivery_option.connect_timeout else excluded.connect_timeout end,
        answer_timeout = case when $3 is null then delivery_option.answer_timeout else excluded.answer_timeout end,
        await_answer = coalesce($4, delivery_option.await_answer),
        retry_schedule = case when $5 is null then delivery_option.retry_schedule else excluded.retry_schedule end,
        maximum_age = case when $6 is null then delivery_option.maximum_age else excluded.maximum_age end,
        rate_limit = case when $7 is null then delivery_option.rate_limit else excluded.rate_limit end,
        concurrency = case when $8 is null then delivery_option.concurrency else excluded.concurrency end,
        proxy = case when $9 is null then delivery_option.proxy else excluded.proxy end,
        pause_after = case when $10 is null then delivery_option.pause_after else excluded.pause_after end;

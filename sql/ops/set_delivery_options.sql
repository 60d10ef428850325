-- Changes of the delivery options of a webhook ($1) what is not null; a timeout of 0 is that of the settings again.
insert into lshookd.delivery_option as delivery_option (webhook_id, connect_timeout, answer_timeout, await_answer)
values (
    $1::bigint,
    nullif($2::float8, 0) * interval '1 second',
    nullif($3::float8, 0) * interval '1 second',
    coalesce($4::boolean, true)
)
on conflict (webhook_id) do update
    set connect_timeout = case when $2::float8 is null then delivery_option.connect_timeout else excluded.connect_timeout end,
        answer_timeout = case when $3::float8 is null then delivery_option.answer_timeout else excluded.answer_timeout end,
        await_answer = coalesce($4::boolean, delivery_option.await_answer);

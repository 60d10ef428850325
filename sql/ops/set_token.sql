-- Keeps the hash of the token by which a webhook is pulled from; null: of none.
insert into lshookd.puller as puller (webhook_id, token_hash)
values ($1::bigint, $2::bytea)
on conflict (webhook_id) do update
    set token_hash = excluded.token_hash,
        token_set_at = clock_timestamp();

-- What requests are signed with (Standard Webhooks).

-- A secret is 32 random bytes; two random UUIDs hold 244 of the bits that they are made of.
create function lshookd.new_secret() returns text
    language sql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
    select 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64')
$$;

create table lshookd.secret (
    webhook_id  bigint      not null,
    secret      text        not null default lshookd.new_secret(),
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz,  -- null: it holds until it is rotated
    primary key (webhook_id, secret)
);

comment on table lshookd.secret is
    'The signing secrets of each webhook. One is made with the first delivery.';

-- Gives a webhook a new secret. For a day requests carry signatures by the old one, too.
create function lshookd.rotate_secret(webhook_id bigint) returns text
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    fresh text;
begin
    update lshookd.secret
    set expires_at = clock_timestamp() + interval '1 day'
    where secret.webhook_id = rotate_secret.webhook_id and expires_at is null;
    insert into lshookd.secret (webhook_id) values (rotate_secret.webhook_id)
    returning secret into fresh;
    return fresh;
end
$$;

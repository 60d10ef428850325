-- Gives a webhook a new secret. For a day requests carry signatures by the old one, too.
create or replace function lshookd.rotate_secret(webhook_id bigint) returns text
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

-- Keeps an error inside capture, and warns of it. Called by capture functions alone, as their owner.
create or replace function lshookd.capture_failed(relation text, operation text, message text) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise warning 'lshookd could not capture % on %: %', operation, relation, left(message, 1000)
        using hint = 'The statement itself went through. Run "lshookd install" to repair the triggers.';
    insert into lshookd.capture_error (relation, operation, message)
    values (left(capture_failed.relation, 100), capture_failed.operation, left(capture_failed.message, 1000));
exception when others then
    null; -- The warning is all that is left to do.
end
$$;

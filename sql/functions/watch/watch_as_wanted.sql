-- Installs the watching triggers that are wanted and removes those that are not. Their functions are copies of the
-- three templates (watch_insert, watch_update, watch_delete): each trigger has one of its own, which can be
-- dropped, and its trigger with it, by a role that does not own Label Studio's table. Where a table is locked, what
-- is to be installed fails, and what is to be removed stays until the next time.
create or replace function lshookd.watch_as_wanted() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '4s'
    set jit = off
as $$
declare
    wanted   record;
    unwanted record;
begin
    -- One at a time: two would create the same function.
    perform pg_advisory_xact_lock(1819503723, 5);
    for unwanted in
        select watcher.name
        from lshookd.watcher
        where watcher.triggers = 0
           or not exists (select from lshookd.watch where watch.name = watcher.name)
    loop
        begin
            execute format('drop function lshookd.%I() cascade', unwanted.name);
        exception when lock_not_available then
            raise warning 'lshookd.% goes on watching for the time being: the table is locked', unwanted.name;
        end;
    end loop;
    for wanted in
        select watch.*, template.prosrc as body, template.proowner as owner, watcher.name is not null as is_there
        from lshookd.watch
        join pg_proc as template
            on template.pronamespace = 'lshookd'::regnamespace
            and template.proname = 'watch_' || watch.operation
        left join lshookd.watcher on watcher.name = watch.name
        order by watch.name
    loop
        execute format(
            'create or replace function lshookd.%I() returns trigger language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp as %L',
            wanted.name, wanted.body
        );
        execute format('revoke all on function lshookd.%I() from public', wanted.name);
        if not wanted.is_there then
            execute format(
                'create trigger %I after %s on %s referencing %s for each statement execute function lshookd.%I(%L, %L)',
                'lshookd_watch_' || wanted.operation,
                wanted.operation,
                wanted.target::regclass,
                case wanted.operation
                    when 'insert' then 'new table as added'
                    when 'update' then 'old table as removed new table as added'
                    when 'delete' then 'old table as removed'
                end,
                wanted.name,
                wanted.relation,
                wanted.key
            );
        end if;
        if wanted.owner <> (select proowner from pg_proc where oid = format('lshookd.%I', wanted.name)::regproc) then
            -- To own a function takes the right to create one only while it is given.
            execute format('grant create on schema lshookd to %I', pg_get_userbyid(wanted.owner));
            execute format('alter function lshookd.%I() owner to %I', wanted.name, pg_get_userbyid(wanted.owner));
            execute format('revoke create on schema lshookd from %I', pg_get_userbyid(wanted.owner));
        end if;
    end loop;
end
$$;

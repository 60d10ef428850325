-- Who may do what with our objects. The roles are those that "lshookd install --print-roles" makes; where they are
-- not there, the owner alone may do everything. Run in the installation's transaction.
do $$
declare
    daemon   text := (select rolname from pg_roles where rolname || '_owner' = current_user);
    capture  text := (select rolname from pg_roles where rolname = daemon || '_capture' and pg_has_role(oid, 'member'));
    access   text := (select rolname from pg_roles where rolname = daemon || '_access' and pg_has_role(oid, 'member'));
    monitor  text := (select rolname from pg_roles where rolname = daemon || '_monitor');
    routine  record;
    relation record;
begin
    -- Nothing is for everybody.
    revoke all on schema lshookd from public;
    for relation in
        select oid::regclass as name, relkind, relname
        from pg_class
        where relnamespace = 'lshookd'::regnamespace and relkind in ('r', 'v', 'S')
    loop
        execute format('revoke all on %s %s from public', case relation.relkind when 'S' then 'sequence' else 'table' end, relation.name);
        if daemon is not null then
            execute format('grant usage on schema lshookd to %I', daemon);
            execute format(
                'grant %s on %s %s to %I',
                case
                    when relation.relname = 'change_floor' then 'select, update'
                    when relation.relkind = 'S' then 'usage, select'
                    when relation.relkind = 'v' or relation.relname in ('migration', 'additional_action', 'watch_need') then 'select'
                    else 'select, insert, update, delete'
                end,
                case relation.relkind when 'S' then 'sequence' else 'table' end,
                relation.name,
                daemon
            );
        end if;
        if monitor is not null and relation.relkind = 'v' and relation.relname not in ('watch', 'watcher', 'written_rule') then
            execute format('grant usage on schema lshookd to %I', monitor);
            execute format('grant select on table %s to %I', relation.name, monitor);
        end if;
    end loop;
    if monitor is not null then
        execute format('grant select on sequence lshookd.change_floor to %I', monitor);
    end if;
    if capture is not null then
        execute format('grant usage on schema lshookd to %I', capture);
        execute format('grant select, insert on lshookd.change, lshookd.deleted_row, lshookd.watched_row to %I', capture);
        execute format('grant select on lshookd.waiting_change to %I', capture);
        execute format('grant insert on lshookd.capture_error, lshookd.recount to %I', capture);
        execute format('grant select on lshookd.payload_option to %I', capture);
        execute format('grant select (role, holder) on lshookd.active_role to %I', capture);
        execute format('grant select (holder, key, value) on lshookd.daemon_setting to %I', capture);
        execute format(
            'grant select (webhook_id, released_at), insert (webhook_id), '
            'update (released_at, released_snapshot, released_in_flight) on lshookd.adoption to %I',
            capture
        );
        execute format('grant select on sequence lshookd.change_seq_seq, lshookd.change_floor to %I', capture);
        execute format('grant create on schema lshookd to %I', capture);
    end if;
    if access is not null then
        execute format('grant usage, create on schema lshookd to %I', access);
    end if;
    for routine in
        select oid::regprocedure as name,
               proname,
               prosecdef and prorettype = 'trigger'::regtype and proname ~ '^(capture|watch|watches)_' and proname <> 'watch_after_choice'
                   as captures,
               prosecdef and prorettype <> 'trigger'::regtype and proname not in ('watch_as_wanted', 'analyze_queues') as accesses,
               proname in ('wake', 'may_notify', 'capture_failed', 'is_label_studios', 'unplanned', 'counts_changed',
                           'annotation_differs', 'project_of', 'parent_of', 'differences', 'payload_of', 'is_read',
                           'in_flight') as is_for_capture,
               proname in ('set_webhooks_active', 'create_webhook', 'update_webhook', 'delete_webhooks', 'watch_as_wanted')
                   or prorettype = 'trigger'::regtype as is_for_owner
        from pg_proc
        where pronamespace = 'lshookd'::regnamespace
    loop
        if routine.captures and capture is not null then
            execute format('alter function %s owner to %I', routine.name, capture);
        elsif routine.accesses and access is not null then
            execute format('alter function %s owner to %I', routine.name, access);
        end if;
        execute format('revoke all on function %s from public', routine.name);
        if capture is not null and routine.is_for_capture then
            execute format('grant execute on function %s to %I', routine.name, capture);
        end if;
        if daemon is not null and not routine.is_for_owner then
            execute format('grant execute on function %s to %I', routine.name, daemon);
        end if;
    end loop;
    -- To own a function takes the right to create one only while it is given.
    if capture is not null then
        execute format('revoke create on schema lshookd from %I', capture);
    end if;
    if access is not null then
        execute format('revoke create on schema lshookd from %I', access);
    end if;
end
$$;

-- Drops one of our triggers on a table of Label Studio's, where it is there, enabled or not: with its function, for
-- which one need not own the table; by itself, where the function is somebody else's.
create or replace function lshookd.drop_trigger(label_studio name, relation name, trigger name) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found_trigger record;
begin
    for found_trigger in
        select installed.tgname, installed.tgrelid::regclass as relation, function.oid::regprocedure as function,
               function.pronamespace = 'lshookd'::regnamespace as is_ours
        from pg_trigger as installed
        join pg_class as class on class.oid = installed.tgrelid
        join pg_namespace as namespace on namespace.oid = class.relnamespace
        join pg_proc as function on function.oid = installed.tgfoid
        where namespace.nspname = drop_trigger.label_studio
          and class.relname = drop_trigger.relation
          and installed.tgname = drop_trigger.trigger
    loop
        if found_trigger.is_ours then
            execute format('drop function %s cascade', found_trigger.function);
        else
            execute format('drop trigger %I on %s', found_trigger.tgname, found_trigger.relation);
        end if;
    end loop;
end
$$;

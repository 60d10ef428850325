-- Notes that a project's counts may have changed, by the tasks that did, or whose annotations did. Where the planner
-- keeps no counts of the project that is all: it has not taken the advisory lock of the project's bucket then, and shall
-- not get it before this transaction ends, so that its first count has what is not noted here. Nobody ever waits for
-- the lock. See src/pipeline/render/counts.rs.
--
-- Tasks go by parts of 128 ids. An error here must not cost the change that was captured before.
create or replace function lshookd.counts_changed(project bigint, tasks bigint[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_try_advisory_xact_lock_shared(1819503723, 64 + (project & 63)::integer) then
        begin
            insert into lshookd.recount (project_id, parts)
            select project, array_agg(distinct coalesce(task >> 7, -1))
            from unnest(tasks) as listed (task);
        exception when others then
            perform lshookd.capture_failed('recount', 'INSERT', sqlerrm);
        end;
    end if;
end
$$;

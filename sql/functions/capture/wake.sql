-- Wakes a sleeping planner, and no other: NOTIFY takes a lock at commit that serializes the writers of the
-- whole cluster. A planner that is about to sleep takes this advisory lock exclusively, which it gets only when
-- no capturing transaction is in flight; it looks at the table once more and sleeps holding it. Nobody ever
-- waits for the lock.
--
-- A notification can fail the writer's commit: when the queue of notifications is full, which a listener in any
-- database of the cluster may bring about, and in "prepare transaction". Where that may be, the planner is not
-- notified, and looks by itself (see src/pipeline/listen.rs).
create or replace function lshookd.wake() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_try_advisory_xact_lock_shared(1819503723, 0) and lshookd.may_notify() then
        perform pg_notify('lshookd', '');
    end if;
end
$$;

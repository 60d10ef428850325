-- Moves objects out of the planner's way: of the given changes those of one kind, with the reason. What is left of a
-- change stays in the queue. Returns how many changes had such objects.
create or replace function lshookd.set_aside_objects(changes bigint[], relations text[], objects bigint[], reason text)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    waiting lshookd.change;
    number  bigint := 0;
begin
    for waiting in
        select change.*
        from lshookd.change
        where change.seq = any (changes)
          and change.relation = any (relations)
          and change.ids && objects
        order by change.seq
        for update
    loop
        number := number + 1;
        insert into lshookd.change_set_aside
            (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
             by_label_studio, columns, became_true, became_false, status, reason)
        select waiting.seq, waiting.xid, waiting.backend, waiting.session, waiting.captured_at, waiting.relation,
               waiting.operation, waiting.project_id, array_agg(object.id order by object.place),
               case when waiting.parents is not null then array_agg(object.parent order by object.place) end,
               waiting.moved, waiting.bulk, waiting.by_label_studio, waiting.columns, waiting.became_true,
               waiting.became_false, waiting.status, left(set_aside_objects.reason, 2000)
        from unnest(waiting.ids, waiting.parents) with ordinality as object (id, parent, place)
        where object.id = any (objects);
        update lshookd.change
        set ids = rest.ids,
            parents = case when change.parents is not null then rest.parents end
        from (
            select array_agg(object.id order by object.place) as ids, array_agg(object.parent order by object.place) as parents
            from unnest(waiting.ids, waiting.parents) with ordinality as object (id, parent, place)
            where object.id <> all (objects)
        ) as rest
        where change.seq = waiting.seq and rest.ids is not null;
        if not found then
            delete from lshookd.change where change.seq = waiting.seq;
        end if;
    end loop;
    return number;
end
$$;

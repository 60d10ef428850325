-- A template: see watch_as_wanted. Its arguments are the relation and the column of its key. Joins are full, so that no
-- plan of them is quadratic: see docs/decisions/capture.md.
create or replace function lshookd.watch_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    previous boolean := exists (select from lshookd.payload_option where payload_option.previous);
begin
    with seen as materialized (
        select (after."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], after."row") as project_id,
               lshookd.parent_of(tg_argv[0], after."row") as parent,
               difference.*,
               row_number() over () / 500 as portion
        from (select to_jsonb(removed) as "row" from removed) as before
        full join (select to_jsonb(added) as "row" from added) as after
            on after."row" -> tg_argv[1] = before."row" -> tg_argv[1]
        cross join lateral lshookd.differences(tg_argv[0], before."row", after."row") as difference
        where difference.columns is not null
          and (tg_argv[0] <> 'storage' or difference.status is not null)
          and (tg_argv[0] <> 'annotation' or difference.columns && array['ground_truth', 'was_cancelled'])
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, columns, became_true, became_false, status)
    select 'watched_' || tg_argv[0], 'update', project_id, array_agg(id order by id), array_agg(parent order by id),
           columns, became_true, became_false, status
    from seen
    where tg_argv[0] not in ('project', 'label_link')
    group by project_id, columns, became_true, became_false, status, portion
    order by portion;
    if found then
        perform lshookd.wake();
    end if;
    -- Also of what Label Studio has an action for, whose change is in the queue by now.
    if previous or not lshookd.is_read(tg_argv[0]) then
        insert into lshookd.watched_row (relation, id, up_to, before, after)
        select tg_argv[0], (coalesce(after."row", before."row") ->> tg_argv[1])::bigint, newest.seq,
               case when previous then lshookd.payload_of(tg_argv[0], tg_table_name, before."row") end,
               case when not lshookd.is_read(tg_argv[0]) then lshookd.payload_of(tg_argv[0], tg_table_name, after."row") end
        from (select row_to_json(removed) as "row" from removed) as before
        full join (select row_to_json(added) as "row" from added) as after
            on after."row" ->> tg_argv[1] = before."row" ->> tg_argv[1]
        cross join (select pg_sequence_last_value('lshookd.change_seq_seq') as seq) as newest
        where newest.seq is not null;
    end if;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

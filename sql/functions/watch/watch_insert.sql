-- A template: see watch_as_wanted. Its arguments are the relation and the column of its key. A change names 500
-- objects at most, so that an event can be made of a part of them.
create or replace function lshookd.watch_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], sight."row") as project_id,
               lshookd.parent_of(tg_argv[0], sight."row") as parent,
               array(
                   select flag
                   from unnest(
                       case tg_argv[0]
                           when 'annotation' then array['ground_truth', 'was_cancelled']
                           when 'task' then array['is_labeled']
                       end
                   ) as flag
                   where sight."row" -> flag = 'true'
               ) as became_true,
               row_number() over () / 500 as portion
        from added
        cross join lateral to_jsonb(added) as sight ("row")
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents, became_true)
    select 'watched_' || tg_argv[0], 'insert', project_id, array_agg(id order by id), array_agg(parent order by id), became_true
    from seen
    where not lshookd.is_read(tg_argv[0]) or became_true <> '{}'
    group by project_id, became_true, portion
    order by portion;
    if not found then
        return null;
    end if;
    if not lshookd.is_read(tg_argv[0]) then
        insert into lshookd.watched_row (relation, id, up_to, after)
        select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, pg_sequence_last_value('lshookd.change_seq_seq'),
               lshookd.payload_of(tg_argv[0], tg_table_name, sight."row")
        from (select row_to_json(added) as "row" from added) as sight;
    end if;
    perform lshookd.wake();
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

-- A template: see watch_as_wanted. Its arguments are the relation and the column of its key.
create or replace function lshookd.watch_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    with seen as materialized (
        select (sight."row" ->> tg_argv[1])::bigint as id,
               lshookd.project_of(tg_argv[0], sight."row") as project_id,
               lshookd.parent_of(tg_argv[0], sight."row") as parent,
               row_number() over () / 500 as portion
        from removed
        cross join lateral to_jsonb(removed) as sight ("row")
        where not lshookd.is_read(tg_argv[0])
    )
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'watched_' || tg_argv[0], 'delete', project_id, array_agg(id order by id), array_agg(parent order by id)
    from seen
    group by project_id, portion
    order by portion;
    if found then
        perform lshookd.wake();
    end if;
    insert into lshookd.deleted_row (relation, id, up_to, image)
    select tg_argv[0], (sight."row" ->> tg_argv[1])::bigint, newest.seq,
           lshookd.payload_of(tg_argv[0], tg_table_name, sight."row")
    from (select row_to_json(removed) as "row" from removed) as sight
    cross join (select pg_sequence_last_value('lshookd.change_seq_seq') as seq) as newest
    where newest.seq is not null;
    return null;
exception when others then
    perform lshookd.capture_failed(tg_table_name, tg_op, sqlerrm);
    return null;
end
$$;

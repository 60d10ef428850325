-- Makes room for some thousand changes: a disk that is full then fails Label Studio's own writes,
-- and not the capture of one that still went through. One statement, so that no planner sees it.
do $$
begin
    insert into lshookd.change (relation, operation, ids, parents, detail)
    select 'filler', 'insert', array_fill(0::bigint, array[8]), array_fill(0::bigint, array[8]), '{}'
    from generate_series(1, 5000)
    where pg_relation_size('lshookd.change') < 1000000;
    delete from lshookd.change
    where relation = 'filler';
end
$$;

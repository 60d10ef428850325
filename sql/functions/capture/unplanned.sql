-- What a deletion must know of the changes that wait to be planned: the newest; whether to keep all that is
-- deleted, without looking for what needs it; and whether there is room for ids alone.
--
-- All is kept where there is much to look through, and in transactions that do not read what others have
-- committed meanwhile: these would miss a change that needs what is deleted, or, where they are serializable,
-- fail with other writers because of the look.
--
-- By the ends of the index alone, which an aggregate is not sure to be: where the queue was empty when statistics were
-- taken, PostgreSQL reads through all that waits for the two ends of it.
create or replace function lshookd.unplanned(out newest bigint, out keep_all boolean, out ids_alone boolean)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') = 'read committed' then
        newest := (select seq from lshookd.waiting_change order by seq desc limit 1);
        keep_all := newest - (select seq from lshookd.waiting_change order by seq limit 1) > 1000;
    else
        newest := pg_sequence_last_value('lshookd.change_seq_seq');
        keep_all := true;
    end if;
    ids_alone := newest is not null and pg_relation_size('lshookd.deleted_row') > 1000000000;
end
$$;

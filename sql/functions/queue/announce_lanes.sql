-- Tells the deliverer that lanes have become due; where a notification could do harm, it looks by itself.
create or replace function lshookd.announce_lanes() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if lshookd.may_notify() then
        perform pg_notify('lshookd_lane', '');
    end if;
end
$$;

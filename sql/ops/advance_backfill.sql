-- Notes how far a backfill has come; without an object ($2) it is finished.
update lshookd.backfill
set after_id = coalesce($2, after_id),
    announced = announced + $3,
    finished_at = case when $2 is null then clock_timestamp() end
where id = $1;

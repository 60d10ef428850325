-- Drops the trigger $3 of the table $2 in Label Studio's schema $1, where it is there.
select lshookd.drop_trigger($1::text, $2::text, $3::text);

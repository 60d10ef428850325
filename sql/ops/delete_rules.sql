-- Deletes the rules of these names ($1), or with $2 all others, with what they have counted.
delete from lshookd.rule
where (name = any ($1::text[])) <> $2::boolean
returning name;

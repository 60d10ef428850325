-- Deletes the rules that have none of these names, with what they have counted.
delete from lshookd.rule
where name <> all ($1::text[])
returning name;

-- Takes back that a new webhook was adopted, whatever adopts new ones.
delete from lshookd.adoption
where webhook_id = $1::bigint;

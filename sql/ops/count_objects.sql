-- How many objects of one kind a webhook concerns, after the id $4.
select count(*) as count
from lshookd.webhook_objects($1::text, $2::bigint, $3::bigint, $4::bigint, null, false);

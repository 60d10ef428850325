-- The ids behind one many-to-many field, for the given owners.
select owner_id, linked
from lshookd.linked_ids($1::oid, $2::text, $3::text, $4::bigint[]);

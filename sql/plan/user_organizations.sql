-- The organizations that users were put into whose rows name none; of others the only one there is.
select user_id, organization_id
from lshookd.user_organizations($1::bigint[]);

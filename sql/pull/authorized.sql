-- What the token of a webhook ($1) is; no row where it is none that consumers pull from.
select puller.token_hash
from lshookd.puller
where puller.webhook_id = $1::bigint
  and exists (select from lshookd.webhook_ids(array[$1]));

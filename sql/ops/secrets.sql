-- The signing secrets of a webhook, the newest first.
select row_to_json(listed) as row
from (
    select secret, created_at, expires_at
    from lshookd.secret
    where webhook_id = $1
      and coalesce(expires_at, 'infinity') > statement_timestamp()
    order by created_at desc
) as listed;

-- Whether somebody delivers a webhook: Label Studio, lshookd, or both.
select webhook.is_active
       or exists (
           select from lshookd.adoption where adoption.webhook_id = webhook.id and adoption.released_at is null
       ) as is_active
from lshookd.webhook_rows(array[$1::bigint]) as webhook;

-- Webhooks that lshookd paused because they had only failed, and those that it warned of; since when.
select webhook_id, failing_since as since, true as is_paused
from lshookd.pause
where failing_since is not null
union all
select webhook_id, since, false
from lshookd.failing_webhook
where is_warned_of
order by webhook_id;

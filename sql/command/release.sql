-- Gives adopted webhooks back to Label Studio: those named, or all. The moment is noted by the
-- trigger on Label Studio's table, and once more by note_release.sql.
update webhook
set is_active = true,
    updated_at = clock_timestamp()
from lshookd.adoption
where webhook.id = adoption.webhook_id
  and adoption.released_at is null
  and ($1::bigint[] is null or webhook.id = any ($1::bigint[]))
returning webhook.id::bigint as webhook_id;

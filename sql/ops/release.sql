-- Releases adopted webhooks to Label Studio: those named, or all; but for those that consumers pull from, which Label
-- Studio cannot deliver. The moment is noted by the trigger on Label Studio's
-- table, and once more by note_release.sql.
with chosen as materialized (
    select coalesce(array_agg(webhook_id), '{}') as ids
    from lshookd.adoption
    where released_at is null
      and not exists (select from lshookd.puller where puller.webhook_id = adoption.webhook_id)
      and ($1::bigint[] is null or webhook_id = any ($1::bigint[]))
)
select activated.id as webhook_id
from chosen
cross join lateral lshookd.set_webhooks_active(chosen.ids, true) as activated (id);

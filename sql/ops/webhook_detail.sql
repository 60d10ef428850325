-- Of a webhook ($1) what a list of them does not show: the names of its headers, and how it wants its events.
select row_to_json(listed) as row
from (
    select case
               when jsonb_typeof(webhook.headers) = 'object' then array(select jsonb_object_keys(webhook.headers))
               else '{}'
           end as header_names,
           coalesce(payload_option.enrich_deletions, false) as enrich_deletions,
           coalesce(payload_option.previous, false) as previous,
           payload_option.cloudevents
    from lshookd.webhook_rows(array[$1::bigint]) as webhook
    left join lshookd.payload_option on payload_option.webhook_id = webhook.id
) as listed;

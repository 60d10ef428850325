-- Adopted webhooks that Label Studio delivers again, since somebody activated them there or they were released; and
-- those that both deliver.
with webhook as materialized (
    select id
    from lshookd.webhook_states()
    where is_active
)
select array(
           select adoption.webhook_id
           from lshookd.adoption
           join webhook on webhook.id = adoption.webhook_id
           order by adoption.webhook_id
       ) as released,
       array(
           select webhook.id
           from webhook
           where webhook.id not in (select webhook_id from lshookd.adoption)
           order by webhook.id
       ) as delivered_twice;

-- Of the given webhooks, or with null of all that are delivered, the chosen actions that are none of the known ($2).
select webhook.id as webhook_id,
       array_agg(chosen.action order by chosen.action) as actions
from lshookd.webhook_rows($1::bigint[]) as webhook
left join lshookd.adoption on adoption.webhook_id = webhook.id and adoption.released_at is null
cross join lateral unnest(webhook.actions) as chosen (action)
where chosen.action <> all ($2::text[])
  and ($1::bigint[] is not null or webhook.is_active or adoption.webhook_id is not null)
group by webhook.id
order by webhook.id;

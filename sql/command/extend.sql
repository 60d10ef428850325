-- Gives a webhook exactly these actions of lshookd's ($2), and how it wants its events.
with unwanted as (
    delete from lshookd.wanted_action
    where webhook_id = $1::bigint
      and action <> all ($2::text[])
),
wanted as (
    insert into lshookd.wanted_action (webhook_id, action)
    select $1::bigint, given.action
    from unnest($2::text[]) as given (action)
    on conflict do nothing
)
insert into lshookd.preference as preference (webhook_id, enrich_deletions, previous, cloudevents)
values ($1::bigint, $3::boolean, $4::boolean, $5::text)
on conflict (webhook_id) do update
    set enrich_deletions = excluded.enrich_deletions,
        previous = excluded.previous,
        cloudevents = excluded.cloudevents;

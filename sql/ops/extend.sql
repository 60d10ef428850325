-- Gives a webhook exactly these additional actions ($2), and how it wants its events.
with unwanted as (
    delete from lshookd.chosen_action
    where webhook_id = $1::bigint
      and action <> all ($2::text[])
),
wanted as (
    insert into lshookd.chosen_action (webhook_id, action)
    select $1::bigint, given.action
    from unnest($2::text[]) as given (action)
    on conflict do nothing
)
insert into lshookd.payload_option as payload_option (webhook_id, enrich_deletions, previous, cloudevents)
values ($1::bigint, $3::boolean, $4::boolean, $5::text)
on conflict (webhook_id) do update
    set enrich_deletions = excluded.enrich_deletions,
        previous = excluded.previous,
        cloudevents = excluded.cloudevents;

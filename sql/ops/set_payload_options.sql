-- Changes of the payload options of a webhook ($1) what is not null; "off" is no CloudEvents.
insert into lshookd.payload_option as payload_option (webhook_id, enrich_deletions, previous, cloudevents)
values ($1::bigint, coalesce($2::boolean, false), coalesce($3::boolean, false), nullif($4::text, 'off'))
on conflict (webhook_id) do update
    set enrich_deletions = coalesce($2::boolean, payload_option.enrich_deletions),
        previous = coalesce($3::boolean, payload_option.previous),
        cloudevents = nullif(coalesce($4::text, payload_option.cloudevents), 'off');

-- A backlog, as the planner would have stored it: so many events of 3 kB, each to every webhook.
insert into lshookd.secret (webhook_id)
select id from webhook;

insert into lshookd.event (action, project_id, object_count, occurred_at, body)
select 'ANNOTATION_UPDATED', 1, 1, now(), '{"action":"ANNOTATION_UPDATED","text":"' || repeat(md5(number::text), 93) || '"}'
from generate_series(1, current_setting('bench.events')::integer) as number;

insert into lshookd.delivery (event_id, webhook_id, project_id)
select event.id, webhook.id, 1
from lshookd.event
cross join webhook
order by event.id;

insert into lshookd.lane (webhook_id, project_id, due_at)
select id, 1, now()
from webhook;

analyze lshookd.event, lshookd.delivery, lshookd.lane;

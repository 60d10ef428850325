-- Ten thousand events, each delivered to every webhook over the last days.
insert into lshookd.event (action, project_id, object_count, occurred_at, planned_at, ended_by, body)
select 'ANNOTATION_CREATED',
       1,
       1,
       now() - (10000 - number) * interval '20 seconds',
       now() - (10000 - number) * interval '20 seconds',
       'idle',
       repeat('x', 300)
from generate_series(1, 10000) as number;

insert into lshookd.delivery (event_id, webhook_id, project_id, state, attempts, ended_at)
select event.id, webhook.id, event.project_id, 'delivered', 1, event.planned_at
from lshookd.event
cross join webhook
order by event.id, webhook.id;

insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, status)
select id, 1, ended_at, 20, 200
from lshookd.delivery;

insert into lshookd.lane (webhook_id, project_id, due_at)
select distinct webhook_id, project_id, 'infinity'::timestamptz
from lshookd.delivery;

analyze lshookd.event;
analyze lshookd.delivery;
analyze lshookd.attempt;
analyze lshookd.lane;

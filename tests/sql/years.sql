-- Events of the last year, each delivered to a part of the webhooks, so that every webhook has as many deliveries as
-- lshookd_test.events says: most are delivered, some are pending, some are dead.
create temporary table numbered as
select id as webhook_id, row_number() over (order by id) - 1 as place, count(*) over () as quantity
from webhook;

create index on numbered (place);

insert into lshookd.event (action, project_id, object_count, occurred_at, planned_at, ended_by, body)
select (array['ANNOTATION_CREATED', 'ANNOTATION_UPDATED', 'TASKS_CREATED'])[1 + number % 3],
       1 + number % 16,
       1,
       now() - (total - number) * interval '1 year' / total,
       now() - (total - number) * interval '1 year' / total,
       'idle',
       format('{"action": "ANNOTATION_CREATED", "task": {"id": %s}, "text": "%s"}', number, repeat(md5(number::text), 30))
from (
    select current_setting('lshookd_test.events')::bigint * (select count(*) from webhook) / 10 as total
) as extent
cross join generate_series(1, total) as number;

insert into lshookd.delivery (event_id, webhook_id, project_id, state, attempts, ended_at)
select event.id,
       numbered.webhook_id,
       event.project_id,
       case when is_recent then 'pending' when part = 7 and event.id % 50 = 0 then 'dead' else 'delivered' end,
       case when is_recent then 0 else 1 end,
       case when not is_recent then event.planned_at + interval '1 second' end
from lshookd.event
cross join lateral (select event.occurred_at > now() - interval '1 day' as is_recent) as age
cross join generate_series(0, 9) as part
join numbered on numbered.place = (event.id * 10 + part) % (select max(quantity) from numbered)
order by event.id, part;

insert into lshookd.attempt (delivery_id, number, started_at, duration_ms, status, error)
select id, 1, ended_at, 20, case when state = 'dead' then 410 else 200 end, case when state = 'dead' then 'the endpoint answered 410 Gone' end
from lshookd.delivery
where attempts > 0
order by id;

insert into lshookd.lane (webhook_id, project_id, due_at)
select webhook_id, project_id, case when bool_or(state = 'pending') then now() else 'infinity' end
from lshookd.delivery
group by webhook_id, project_id;

analyze;

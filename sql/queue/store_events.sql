-- Stores events and their deliveries. Ids, and with them each lane's order, ascend in the order
-- given; a delivery names its event by the place of that.
with given as materialized (
    select nextval('lshookd.event_id_seq') as id,
           listed.*
    from (
        select *
        from unnest($1::text[], $2::bigint[], $3::integer[], $4::timestamptz[], $5::text[], $6::boolean[], $7::text[])
            with ordinality as event (action, project_id, object_count, occurred_at, body, tap_only, ended_by, place)
        order by place
    ) as listed
),
stored as (
    insert into lshookd.event (id, action, project_id, object_count, occurred_at, body, tap_only, ended_by)
    overriding system value
    select id, action, project_id, object_count, occurred_at, body, tap_only, ended_by
    from given
    order by place
)
insert into lshookd.delivery (event_id, webhook_id, project_id)
select given.id,
       delivery.webhook_id,
       given.project_id
from unnest($8::bigint[], $9::bigint[]) with ordinality as delivery (event, webhook_id, place)
join given on given.place = delivery.event
order by delivery.place;

-- What consumers have been given and nobody has acknowledged, with the latest lease of its lane.
create or replace view lshookd.given_delivery as
select lease.webhook_id,
       lease.project_id,
       lease.lease_id,
       lease.leased_at,
       lease.consumer,
       delivery.id,
       delivery.message_id
from lshookd.lease
join lshookd.delivery on delivery.webhook_id = lease.webhook_id
    and delivery.project_id = lease.project_id
    and delivery.state = 'pending'
    and delivery.id between lease.first_id and lease.last_id
where lease.last_id is not null;

comment on view lshookd.given_delivery is
    'One row per delivery that a consumer was given and has not acknowledged, with the latest lease of its lane.';

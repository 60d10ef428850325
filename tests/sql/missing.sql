-- Where events may have stayed: of the annotations that writers committed ($1) and that did not
-- arrive ($2), how many are in the table, and what became of them on our side.
with missing as (
    select id
    from unnest($1::bigint[]) as given (id)
    where id <> all ($2::bigint[])
),
planned as (
    select delivery.state
    from lshookd.event
    join lshookd.delivery on delivery.event_id = event.id
    where (event.body::json -> 'annotation' ->> 'id')::bigint in (select id from missing)
)
select format(
           'of %s missing at every endpoint %s are in the table; capture errors: %s; changes waiting: %s; set aside: %s; '
           'deliveries of the missing, by state: %s',
           (select count(*) from missing),
           (select count(*) from missing join task_completion using (id)),
           (select coalesce(string_agg(distinct message, '; '), 'none') from lshookd.capture_error),
           (select count(*) from lshookd.change),
           (select count(*) from lshookd.change_set_aside),
           (select json_object_agg(state, number) from (select state, count(*) as number from planned group by state) as counted)
       ) as report;

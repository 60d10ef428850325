-- How many predictions the tasks of each project have; older versions of Label Studio do not note the project of
-- a prediction.
create or replace function lshookd.prediction_counts(ids bigint[]) returns table (id bigint, predictions bigint)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    if exists (
        select
        from pg_attribute
        where attrelid = 'label_studio.prediction'::regclass and attname = 'project_id' and not attisdropped
    ) then
        return query
        select prediction.project_id::bigint, count(*)
        from label_studio.prediction as prediction
        where prediction.project_id = any (ids)
        group by prediction.project_id;
    else
        return query
        select task.project_id::bigint, count(*)
        from label_studio.prediction as prediction
        join label_studio.task as task on task.id = prediction.task_id
        where task.project_id = any (ids)
        group by task.project_id;
    end if;
end
$$;

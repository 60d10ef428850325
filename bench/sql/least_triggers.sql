-- Makes lshookd's triggers do the least that tells what changed: a row of ids for each project of a statement. They
-- wake nobody, keep no row that is deleted, note no counts, and an error in them is Label Studio's.
create or replace function lshookd.capture_annotation_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'insert', project_id, array_agg(id), array_agg(task_id)
    from added
    group by project_id;
    return null;
end
$$;

create or replace function lshookd.capture_annotation_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, parents)
    select 'annotation', 'delete', project_id, array_agg(id), array_agg(task_id)
    from removed
    group by project_id;
    return null;
end
$$;

create or replace function lshookd.capture_task_insert() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids)
    select 'task', 'insert', project_id, array_agg(id)
    from added
    group by project_id;
    return null;
end
$$;

create or replace function lshookd.capture_task_update() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids, moved)
    select 'task', 'delete', removed.project_id, array_agg(removed.id), true
    from removed
    join added on added.id = removed.id
    where added.project_id is distinct from removed.project_id
    group by removed.project_id;
    return null;
end
$$;

create or replace function lshookd.capture_task_delete() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into lshookd.change (relation, operation, project_id, ids)
    select 'task', 'delete', project_id, array_agg(id)
    from removed
    where project_id is not null
    group by project_id;
    return null;
end
$$;

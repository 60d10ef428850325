-- Those of the given projects that have tasks, all of which are labeled.
create or replace function lshookd.labeled_projects(ids bigint[]) returns setof bigint
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select given.project_id
    from unnest(ids) as given (project_id)
    where exists (select from label_studio.task as task where task.project_id = given.project_id)
      and not exists (
          select from label_studio.task as task where task.project_id = given.project_id and not task.is_labeled
      );
end
$$;

-- Labels as their columns stand, with the two fields that Label Studio's LabelSerializer adds: the links to the
-- label, and the projects that they lead to.
create or replace function lshookd.label_rows(ids bigint[]) returns table (id bigint, "row" text, links bigint[], projects bigint[])
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    return query
    select label.id::bigint,
           row_to_json(label)::text,
           array(
               select link.id::bigint
               from label_studio.labels_manager_labellink as link
               where link.label_id = label.id
               order by link.id
           ),
           array(
               select link.project_id::bigint
               from label_studio.labels_manager_labellink as link
               where link.label_id = label.id
               order by link.project_id
           )
    from label_studio.labels_manager_label as label
    where label.id = any (ids);
end
$$;

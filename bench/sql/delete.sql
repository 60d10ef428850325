-- A bulk deletion of two hundred tasks, after making them: Label Studio takes them from their project
-- and then deletes them.
with made as (
    insert into task
        (data, created_at, updated_at, is_labeled, project_id, overlap, inner_id, total_annotations,
         cancelled_annotations, total_predictions, comment_count, unresolved_comment_count, allow_skip)
    select '{}', now(), now(), false, null, 1, :client_id, 0, 0, 0, 0, 0, true
    from generate_series(1, 200)
    returning id
)
select min(id) as first, max(id) as last from made
\gset
update task set project_id = 1 where id between :first and :last and inner_id = :client_id;
begin;
update task set project_id = null where id between :first and :last and inner_id = :client_id;
delete from task where id between :first and :last and inner_id = :client_id;
commit;

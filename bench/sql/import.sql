-- An import of a thousand tasks, as Label Studio writes them: one transaction, one statement.
begin;
insert into task
    (data, created_at, updated_at, is_labeled, project_id, overlap, inner_id, total_annotations,
     cancelled_annotations, total_predictions, comment_count, unresolved_comment_count, allow_skip)
select jsonb_build_object('text', repeat('owl ', 50)), now(), now(), false, 1, 1, number, 0, 0, 0, 0, 0, true
from generate_series(1, 1000) as number;
commit;

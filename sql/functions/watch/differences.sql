-- What is different between two states of a watched row, without bookkeeping: the names of columns, which of them
-- are true or false now, and a status. Null where nothing is.
create or replace function lshookd.differences(
    relation text,
    before jsonb,
    after jsonb,
    out columns text[],
    out became_true text[],
    out became_false text[],
    out status text
)
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select array_agg(field.key order by field.key),
           array_agg(field.key order by field.key) filter (where field.value = 'true'),
           array_agg(field.key order by field.key) filter (where field.value = 'false'),
           max(field.value #>> '{}') filter (where field.key = 'status')
    from jsonb_each(after) as field
    where field.value is distinct from before -> field.key
      and field.key <> all (
              case relation
                  when 'task' then array['updated_at', 'updated_by_id', 'project_id', 'total_annotations', 'cancelled_annotations',
                                         'total_predictions', 'comment_count', 'unresolved_comment_count',
                                         'last_comment_updated_at', 'precomputed_agreement']
                  when 'draft' then array['updated_at']
                  when 'label' then array['updated_at']
                  when 'user' then array['last_activity', 'activity_at', 'last_login', 'password']
                  else '{}'
              end
          )
$$;

-- Whether something of an annotation beside Label Studio's bookkeeping differs. A reference that became null is the
-- consequence of a deletion elsewhere.
--
-- A function of its own because hardly any update needs to know, and what a statement has ready for it in case, costs
-- each.
create or replace function lshookd.annotation_differs(before jsonb, after jsonb) returns boolean
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select
        from jsonb_each(after) as new
        join jsonb_each(before) as old on old.key = new.key
        where new.value is distinct from old.value
          and not (new.key like '%\_id' and new.value = 'null')
          and new.key not in ('updated_by_id', 'last_created_by_id', 'last_action', 'result_count', 'unique_id',
                              'import_id', 'draft_created_at', 'bulk_created')
    )
$$;

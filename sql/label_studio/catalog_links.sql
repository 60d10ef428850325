-- The many-to-many fields of those tables. Django keeps one in a table of its own, named for
-- its owner and the field, that has an id and two references and nothing else.
select owner.relname::text as relation,
       substr(link.relname::text, length(owner.relname::text) + 2) as field,
       link.oid as link,
       own.attname::text as own,
       other.attname::text as other
from lshookd.label_studio
join pg_class as owner on owner.relnamespace = label_studio.oid
join pg_constraint as to_owner on to_owner.confrelid = owner.oid and to_owner.contype = 'f'
join pg_class as link on link.oid = to_owner.conrelid
join pg_attribute as own on own.attrelid = link.oid and array[own.attnum] = to_owner.conkey
join pg_constraint as to_other on to_other.conrelid = link.oid and to_other.contype = 'f' and to_other.oid <> to_owner.oid
join pg_attribute as other on other.attrelid = link.oid and array[other.attnum] = to_other.conkey
where owner.relname in ('project', 'task', 'task_completion', 'labels_manager_label', 'labels_manager_labellink')
  and starts_with(link.relname::text, owner.relname::text || '_')
  and (
      select count(*)
      from pg_attribute as attribute
      where attribute.attrelid = link.oid and attribute.attnum > 0 and not attribute.attisdropped
  ) = 3
order by owner.relname, link.relname;

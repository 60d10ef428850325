-- A bulk deletion of two hundred tasks that were there before: Label Studio takes them from their project,
-- and then deletes them.
select nextval('victim') * 200 as last
\gset
update task set project_id = null where id > :last - 200 and id <= :last;
begin;
delete from task where id > :last - 200 and id <= :last;
commit;

-- The youngest migration of Label Studio's tasks, which tells its version.
select app || '.' || name as name,
       to_char(applied, 'YYYY-MM-DD') as applied
from django_migrations
where app = 'tasks'
order by name desc
limit 1;

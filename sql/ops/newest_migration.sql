-- The youngest migration of Label Studio's tasks, which tells its version.
select name,
       to_char(applied, 'YYYY-MM-DD') as applied
from lshookd.label_studio_migration();

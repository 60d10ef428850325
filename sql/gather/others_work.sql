-- Whether somebody else's statement runs in this database just now.
select exists (
    select
    from pg_stat_activity
    where datname = current_database()
      and state = 'active'
      and backend_type = 'client backend'
      and application_name <> 'lshookd'
) as others_work;

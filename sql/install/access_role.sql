-- The role that reads Label Studio's tables for the current one, where "lshookd install --print-roles" made it.
select (
    select access.rolname
    from pg_roles as daemon
    join pg_roles as access on access.rolname = daemon.rolname || '_access'
    where daemon.rolname || '_owner' = current_user
      and pg_has_role(access.oid, 'member')
)::text as name;

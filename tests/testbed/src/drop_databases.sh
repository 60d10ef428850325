# shellcheck shell=sh
# Drops the databases and roles that we made on a server that is not ours.
psql --quiet "$LSHOOKD_TEST_DATABASE_URL" <<'end'
select format('drop database %I with (force)', datname) from pg_database where starts_with(datname, 'PREFIX')
\gexec
select format('drop role %I', rolname) from pg_roles where starts_with(rolname, 'PREFIX')
\gexec
end

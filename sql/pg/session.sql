-- Readies a session: names are looked up in PostgreSQL's own catalog alone, so that nobody's function or operator is
-- taken for one of its; a table whose rows this role may not see is an error, and not an empty table; times in UTC (as
-- Label Studio writes them), none of the time-outs that a DBA may have set for other clients, and a server that
-- notices within about twenty seconds when this client is gone, so that its locks pass to another daemon.
set search_path = pg_catalog, pg_temp;
set row_security = off;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set extra_float_digits = 1;
set bytea_output = 'hex';
set quote_all_identifiers = off;
-- None of our statements runs for so long that it would be worth it.
set jit = off;
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = '60s';
-- From PostgreSQL 14 and 17 on.
select set_config(name, '0', false)
from (values ('idle_session_timeout'), ('transaction_timeout')) as timeout (name)
where current_setting(name, true) is not null;
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 3;
set tcp_keepalives_count = 3;
set tcp_user_timeout = '19s';

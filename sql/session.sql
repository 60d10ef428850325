-- Readies a session: times in UTC (as Label Studio writes them), none of the time-outs that
-- a DBA may have set for other clients, and a server that notices within about twenty seconds
-- when this client is gone, so that its locks pass to another daemon.
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set extra_float_digits = 1;
set bytea_output = 'hex';
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = '60s';
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 3;
set tcp_keepalives_count = 3;
set tcp_user_timeout = '19s';

-- The server's version, as a number to compare and a text to show.
select current_setting('server_version_num')::integer as number,
       current_setting('server_version') as version;

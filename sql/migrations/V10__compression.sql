-- Bodies are compressed by lz4, which takes a tenth of the time of PostgreSQL's own way, where the server
-- has it: it is new in PostgreSQL 14, and a matter of how the server was built.
do $$
begin
    execute 'alter table lshookd.event alter column body set compression lz4';
exception when others then
    null; -- The column stays as it is.
end
$$;

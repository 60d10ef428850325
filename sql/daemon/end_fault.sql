-- Says that something of a daemon ($1) works again ($2).
delete from lshookd.daemon_fault
where holder = $1::uuid
  and fault = $2::text;

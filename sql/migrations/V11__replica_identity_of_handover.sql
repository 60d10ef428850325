-- As in V7__replica_identity.sql: what has no key must be named in full to be deleted or changed.
alter table lshookd.pause replica identity full;
alter table lshookd.backfill replica identity full;

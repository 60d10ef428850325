-- A publication of all tables refuses deletions from tables that have neither a key nor this.
alter table lshookd.last_image replica identity full;
alter table lshookd.capture_error replica identity full;

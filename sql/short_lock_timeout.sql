-- A statement that waits for a table's lock makes everybody after it wait too: give up soon.
set local lock_timeout = '1s';

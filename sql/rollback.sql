-- The changes wait as before.
rollback;

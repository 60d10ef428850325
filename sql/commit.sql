-- The changes are events now.
commit;

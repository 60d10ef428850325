-- The planner's transaction: all that it reads is of one moment.
start transaction isolation level repeatable read;

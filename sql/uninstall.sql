-- Removes everything of ours. The triggers on Label Studio's tables go with their functions.
set local client_min_messages = warning;
drop schema lshookd cascade;

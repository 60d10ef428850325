-- Transactions of a session like this hold no lock and no snapshot for long: what waits for a lock gives
-- up, and what waits for its client is ended. Vacuum, and with it the distance to a wraparound
-- of transaction ids, does not suffer from ours.
set lock_timeout = '4s';
set idle_in_transaction_session_timeout = '5s';

-- For sessions that run a few statements over and over: these are planned once and not each time,
-- always by an index, as suits a queue that may be empty now and long in a moment, and on one
-- core. The plans are discarded when much has changed since, lest they are of another time.
set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
set max_parallel_workers_per_gather = 0;

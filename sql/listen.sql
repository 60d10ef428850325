-- The channel on which writers wake a sleeping planner (lshookd.wake).
listen lshookd;

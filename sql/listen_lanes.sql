-- The channel on which the planner says that lanes have become due (wake_lanes.sql).
listen lshookd_lane;

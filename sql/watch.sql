-- Triggers for what subscriptions want beyond Label Studio's actions, also on tables that are new.
select lshookd.watch_as_wanted();

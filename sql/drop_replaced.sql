-- Functions of triggers that were replaced.
drop function if exists lshookd.capture_task_update();

create trigger lshookd_task_moves
    after update on task
    for each statement execute function lshookd.capture_task_moves();

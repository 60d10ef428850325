create trigger lshookd_task_update
    after update on task
    for each row execute function lshookd.note_task_move();

create trigger lshookd_task_update
    after update on label_studio.task
    referencing old table as removed new table as added
    for each statement execute function lshookd.capture_task_update();

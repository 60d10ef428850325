create trigger lshookd_task_delete
    after delete on label_studio.task
    referencing old table as removed
    for each statement execute function lshookd.capture_task_delete();

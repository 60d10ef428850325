create trigger lshookd_task_insert
    after insert on label_studio.task
    referencing new table as added
    for each statement execute function lshookd.capture_task_insert();

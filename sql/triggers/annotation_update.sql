create trigger lshookd_annotation_update
    after update on label_studio.task_completion
    referencing old table as removed new table as added
    for each statement execute function lshookd.capture_annotation_update();

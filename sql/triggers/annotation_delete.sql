create trigger lshookd_annotation_delete
    after delete on label_studio.task_completion
    referencing old table as removed
    for each statement execute function lshookd.capture_annotation_delete();

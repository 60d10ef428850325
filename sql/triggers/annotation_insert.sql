create trigger lshookd_annotation_insert
    after insert on label_studio.task_completion
    referencing new table as added
    for each statement execute function lshookd.capture_annotation_insert();

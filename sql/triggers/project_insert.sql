create trigger lshookd_project_insert
    after insert on label_studio.project
    referencing new table as added
    for each statement execute function lshookd.capture_project_insert();

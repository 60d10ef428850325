create trigger lshookd_project_update
    after update on label_studio.project
    referencing old table as removed new table as added
    for each statement execute function lshookd.capture_project_update();

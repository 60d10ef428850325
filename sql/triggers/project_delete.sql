create trigger lshookd_project_delete
    after delete on label_studio.project
    referencing old table as removed
    for each statement execute function lshookd.capture_project_delete();

create trigger lshookd_label_delete
    after delete on label_studio.labels_manager_label
    referencing old table as removed
    for each statement execute function lshookd.capture_label_delete();

create trigger lshookd_label_link_delete
    after delete on label_studio.labels_manager_labellink
    referencing old table as removed
    for each statement execute function lshookd.capture_label_link_delete();

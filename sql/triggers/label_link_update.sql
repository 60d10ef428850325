create trigger lshookd_label_link_update
    after update on label_studio.labels_manager_labellink
    referencing new table as added
    for each statement execute function lshookd.capture_label_link_write();

create trigger lshookd_webhook_update
    after update on label_studio.webhook
    referencing new table as added
    for each statement execute function lshookd.capture_webhook_update();

create trigger lshookd_webhook_update
    after update on webhook
    referencing new table as added
    for each statement execute function lshookd.capture_webhook_update();

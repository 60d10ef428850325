create trigger lshookd_webhook_insert
    before insert on label_studio.webhook
    for each row execute function lshookd.capture_webhook_insert();

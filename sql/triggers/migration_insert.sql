create trigger lshookd_migration_insert
    after insert on label_studio.django_migrations
    for each statement execute function lshookd.capture_migration_insert();

-- Choices of additional actions and payload options install and remove watching triggers.
drop trigger if exists chosen_action_changed on lshookd.chosen_action;
create trigger chosen_action_changed
    after insert or update or delete or truncate on lshookd.chosen_action
    for each statement execute function lshookd.watch_after_choice();

drop trigger if exists payload_option_changed on lshookd.payload_option;
create trigger payload_option_changed
    after insert or update or delete or truncate on lshookd.payload_option
    for each statement execute function lshookd.watch_after_choice();

-- The history of a delivery goes with it.
drop trigger if exists delivery_deleted on lshookd.delivery;
create trigger delivery_deleted
    after delete on lshookd.delivery
    referencing old table as removed
    for each statement execute function lshookd.delete_attempts();

-- Whether somebody listens to all events.
select exists (
    select from lshookd.listener where listens_until > clock_timestamp()
) as listened_to;

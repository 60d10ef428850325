-- Whether somebody taps all events.
select exists (
    select from lshookd.tap where taps_until > clock_timestamp()
) as has_taps;

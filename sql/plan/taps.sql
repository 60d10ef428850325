-- Whether somebody taps all events.
select exists (
    select from lshookd.tap where taps_until > statement_timestamp()
) as has_taps;

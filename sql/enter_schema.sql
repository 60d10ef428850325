-- Puts Label Studio's schema on the search path; lshookd's own is always named in full.
select set_config('search_path', quote_ident($1::text) || ', pg_temp', false);

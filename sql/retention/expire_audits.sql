-- Deletes what people changed more than a year ago.
delete from lshookd.audit
where at < statement_timestamp() - interval '1 year';

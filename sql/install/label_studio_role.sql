-- The schema of Label Studio's tables, as a word for psql.
select quote_literal($1::text) as schema;

-- Notes who ($1) is about to change something by the console or a command ($2), what ($3), of what ($4) and how ($5). It
-- counts as interrupted until it is said how it ended.
insert into lshookd.audit (who, way, what, subject, detail, failure)
values ($1::text, $2::text, $3::text, $4::text, $5::text, 'interrupted')
returning id;

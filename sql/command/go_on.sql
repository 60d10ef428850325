-- Looks at once at the lanes of some webhooks, or with null at all.
select lshookd.go_on($1::bigint[]);

-- Lets the deliveries of some webhooks go on, or with null of all.
delete from lshookd.pause
where $1::bigint[] is null
   or webhook_id = any ($1::bigint[]);

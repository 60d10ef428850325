-- Changes of a webhook ($1) what is not null; whether it is there.
select lshookd.update_webhook(
           $1::bigint, $2::text, $3::jsonb, $4::boolean, $5::boolean, $6::text[], $7::boolean
       ) as is_known;

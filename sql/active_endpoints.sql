-- Where the webhooks point that lshookd serves.
select id::bigint as webhook,
       url::text as url
from webhook
where case
          when id in (select webhook_id from lshookd.adoption where released_at is null) then not is_active
          when id in (select webhook_id from lshookd.adoption) then false
          else is_active
      end
order by id;

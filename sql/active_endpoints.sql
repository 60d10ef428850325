-- Where the active webhooks point.
select id::bigint as webhook,
       url::text as url
from webhook
where is_active
order by id;

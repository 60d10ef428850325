-- How many subscriptions Label Studio posts to itself.
select count(*) as active
from webhook
where is_active;

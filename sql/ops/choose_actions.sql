-- Gives a webhook exactly these additional actions ($2).
with unwanted as (
    delete from lshookd.chosen_action
    where webhook_id = $1::bigint
      and action <> all ($2::text[])
)
insert into lshookd.chosen_action (webhook_id, action)
select $1::bigint, given.action
from unnest($2::text[]) as given (action)
on conflict do nothing;

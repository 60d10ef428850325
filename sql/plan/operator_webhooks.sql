-- The webhooks that have chosen operational events and that lshookd delivers, with the rules of each.
select webhook.id as webhook_id,
       webhook.send_payload,
       array(
           select written_rule.rule::text
           from lshookd.written_rule
           where written_rule.webhook_id = webhook.id
           order by written_rule.name
       ) as rules
from lshookd.webhook_rows(
    array(select chosen_action.webhook_id from lshookd.chosen_action where chosen_action.action = 'OPERATIONAL_EVENT')
) as webhook
left join lshookd.adoption on adoption.webhook_id = webhook.id
where case
          when adoption.webhook_id is null then webhook.is_active
          else adoption.released_at is null and not webhook.is_active
      end
order by webhook.id;

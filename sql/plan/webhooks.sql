-- Of the given projects ($1) the organization, and the webhooks that lshookd delivers and that concern them: their
-- own, and those of their organization where these are served ($3). The organization of a project that is deleted,
-- or of what has no project (0), comes with the event ($2), or is in the row that was kept of the project. A project
-- of which nothing is known any more has no organization.
--
-- Rows without a webhook_id are the places, those with one the webhooks, each once: whom a webhook concerns is put
-- together elsewhere, for there may be thousands of both.
with place as materialized (
    select given.project_id,
           given.organization_id as for_organization,
           coalesce(
               project.organization_id,
               given.organization_id,
               (
                   select (deleted_row.image ->> 'organization_id')::bigint
                   from lshookd.deleted_row
                   where deleted_row.relation = 'project' and deleted_row.id = given.project_id
                   limit 1
               )
           ) as organization_id
    from unnest($1::bigint[], $2::bigint[]) as given (project_id, organization_id)
    left join (
        select id, organization_id
        from lshookd.project_organizations($1::bigint[])
    ) as project on project.id = given.project_id
),
webhook as materialized (
    select *
    from lshookd.webhooks_of(
        $1::bigint[],
        (select coalesce(array_agg(distinct organization_id) filter (where $3::boolean), '{}') from place)
    )
)
select place.project_id,
       place.for_organization,
       place.organization_id,
       null as webhook_id,
       null as adopted_snapshot,
       null as adopted_in_flight,
       null as released_snapshot,
       null as released_in_flight,
       null as send_payload,
       null as send_for_all_actions,
       null as actions,
       null as additional_actions,
       null as enrich_deletions,
       null as previous,
       null as rules
from place
union all
(
    select webhook.project_id,
           null,
           webhook.organization_id,
           webhook.id,
           adoption.adopted_snapshot::text,
           adoption.adopted_in_flight::text[],
           adoption.released_snapshot::text,
           adoption.released_in_flight::text[],
           webhook.send_payload,
           webhook.send_for_all_actions,
           webhook.actions,
           array(
               select chosen_action.action
               from lshookd.chosen_action
               where chosen_action.webhook_id = webhook.id
           ),
           coalesce(payload_option.enrich_deletions, false),
           coalesce(payload_option.previous, false),
           array(
               select written_rule.rule::text
               from lshookd.written_rule
               where written_rule.webhook_id = webhook.id
               order by written_rule.name
           )
    from webhook
    left join lshookd.adoption on adoption.webhook_id = webhook.id
    left join lshookd.payload_option on payload_option.webhook_id = webhook.id
    where case
              when adoption.webhook_id is null then webhook.is_active
              else adoption.released_at is not null or not webhook.is_active
          end
    order by webhook.id
);

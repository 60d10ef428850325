-- The webhooks that lshookd serves and that concern the given projects: their own, and those of
-- their organization where these are served ($3). The organization of a project that is deleted,
-- or of what has no project (0), comes with the event ($2), or is in the project's last image.
select wanted.project_id as for_project,
       wanted.organization_id as for_organization,
       webhook.id::bigint as webhook,
       webhook.project_id is null as organization_wide,
       adoption.released_at,
       webhook.send_payload,
       webhook.send_for_all_actions,
       array(
           select webhook_action.action::text
           from webhook_action
           where webhook_action.webhook_id = webhook.id
       ) as actions,
       array(
           select wanted_action.action
           from lshookd.wanted_action
           where wanted_action.webhook_id = webhook.id
       ) as more_actions,
       coalesce(preference.enrich_deletions, false) as enrich_deletions,
       coalesce(preference.previous, false) as previous,
       array(
           select written_rule.rule::text
           from lshookd.written_rule
           where written_rule.webhook = webhook.id
           order by written_rule.name
       ) as rules
from unnest($1::bigint[], $2::bigint[]) as wanted (project_id, organization_id)
left join project on project.id = wanted.project_id
cross join lateral (
    select coalesce(
               project.organization_id::bigint,
               wanted.organization_id,
               (
                   select (last_image.image ->> 'organization_id')::bigint
                   from lshookd.last_image
                   where last_image.relation = 'project' and last_image.id = wanted.project_id
                   limit 1
               )
           ) as id
) as organization
-- Two questions, for each of which there is an index.
cross join lateral (
    select *
    from webhook
    where webhook.project_id = wanted.project_id
    union all
    select *
    from webhook
    where webhook.project_id is null
      and $3::boolean
) as webhook
left join lshookd.adoption on adoption.webhook_id = webhook.id
left join lshookd.preference on preference.webhook_id = webhook.id
where webhook.organization_id = organization.id
  and case
          when adoption.webhook_id is null then webhook.is_active
          else adoption.released_at is not null or not webhook.is_active
      end
order by webhook.id;

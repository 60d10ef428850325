//! Webhooks: who receives an event, by the rows of Label Studio's `webhook` table as they
//! are at this moment (`get_active_webhooks` in Label Studio's `webhooks/utils.py`), and by what
//! lshookd has adopted of them; and how each wants it, by `lshookd.chosen_action` and
//! `lshookd.payload_option`.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use crate::model::{Action, Event, EventView, Kind, PayloadOptions, Scope, WebhookId};
use crate::pg::Prepared;
use crate::pipeline::rule::Rule;

/// A webhook that lshookd serves and that concerns a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// `webhook.id`
    pub id: WebhookId,
    /// Whether it belongs to the organization and not to one project.
    pub organization_wide: bool,
    /// Since when lshookd delivers it, where it was adopted.
    pub adopted: Option<Divide>,
    /// Since when Label Studio alone delivers it again, where it was released.
    pub released: Option<Divide>,
    /// Whether it wants objects, or the action's name alone.
    pub send_payload: bool,
    /// Whether it wants every action of Label Studio's.
    pub all_actions: bool,
    /// The actions of Label Studio's that it wants otherwise.
    pub actions: Vec<String>,
    /// The actions it wants that Label Studio does not have.
    pub additional_actions: Vec<String>,
    /// How it wants its events.
    pub options: PayloadOptions,
    /// What decides which of them it receives.
    pub rules: Vec<Rule>,
}

/// A moment that divides transactions into those before it and those after, by PostgreSQL's snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divide {
    /// All from it on had not begun.
    xmax: u64,
    /// Those that count as coming after, between the two or not.
    open: HashSet<u64>,
}

impl Divide {
    /// From the text of a `pg_snapshot` (PostgreSQL's documentation, 9.27.10) and the transactions whose actions
    /// were in flight; `None` for what is none.
    fn new(snapshot: Option<&str>, in_flight: Option<Vec<String>>) -> Option<Divide> {
        let mut parts = snapshot?.split(':');
        let xmax = parts.nth(1)?.parse().ok()?;
        let running = parts.next().unwrap_or_default().split(',').filter_map(|xid| xid.parse().ok());
        let in_flight = in_flight.unwrap_or_default().into_iter().filter_map(|xid| xid.parse().ok());
        Some(Divide { xmax, open: running.chain(in_flight).collect() })
    }

    /// Whether it comes after a transaction with all of its action.
    fn is_after(&self, transaction: u64) -> bool {
        transaction < self.xmax && !self.open.contains(&transaction)
    }
}

/// What [`Webhooks::read`] runs.
pub const READ: &str = include_str!("../../sql/plan/webhooks.sql");

/// Who may hear of something: the webhooks around a project, or those of an organization, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Project(i64),
    Organization(Option<i64>),
}

/// The active webhooks, by where they hear of what happens.
pub struct Webhooks {
    /// By project, and the organization that they belong to themselves.
    of_projects: HashMap<(i64, i64), Vec<Webhook>>,
    of_organizations: HashMap<i64, Vec<Webhook>>,
    /// `None` of projects of which nothing is known any more: neither a row nor one that was kept.
    organizations: HashMap<Place, Option<i64>>,
    /// Of users whose rows name none.
    organizations_of_users: HashMap<i64, i64>,
}

/// An event in one of the ways in which it is wanted, and by whom.
#[derive(Debug, Clone)]
pub struct EventRecipients<'a> {
    /// The event, and how it is shown.
    pub shown: EventView<'a>,
    /// The webhooks, by id; none where somebody only listens.
    pub recipients: Vec<WebhookId>,
    /// Whether one of them wants more than the action's name, or a rule has to see it.
    pub with_payload: bool,
    /// The rules that govern it for its only recipient; none where it is sent as it is.
    pub rules: Vec<&'a Rule>,
}

impl Webhooks {
    /// Reads the webhooks that concern the events' projects.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(
        client: &Prepared<'_, impl GenericClient>,
        events: &[&Event],
        organization_webhooks: bool,
    ) -> Result<Webhooks> {
        let organizations_of_users = organizations_of_users(client, events).await?;
        let mut projects: HashMap<i64, Option<i64>> = HashMap::new();
        let mut organizations: Vec<Option<i64>> = Vec::new();
        for event in events {
            match event.scope {
                Scope::Organization => organizations.push(organization(event, &organizations_of_users)),
                Scope::Project(project) => {
                    let known = projects.entry(project).or_default();
                    *known = known.or(event.organization);
                }
            }
        }
        organizations.sort_unstable();
        organizations.dedup();
        let mut scopes = vec![Scope::Organization; organizations.len()];
        for (project, organization) in projects {
            scopes.push(Scope::Project(project));
            organizations.push(organization);
        }
        let rows = client
            .query(READ, &[&scopes, &organizations, &organization_webhooks])
            .await
            .context("reading Label Studio's webhook table")?;
        let mut webhooks = Webhooks {
            of_projects: HashMap::new(),
            of_organizations: HashMap::new(),
            organizations: HashMap::new(),
            organizations_of_users,
        };
        for row in rows {
            let organization: Option<i64> = row.get("organization_id");
            let Some(id) = row.get("webhook_id") else {
                let place = place(row.get("project_id"), || row.get("for_organization"));
                webhooks.organizations.insert(place, organization);
                continue;
            };
            let project: Option<i64> = row.get("project_id");
            let siblings = match (project, organization) {
                (Some(project), Some(organization)) => webhooks.of_projects.entry((project, organization)).or_default(),
                (None, Some(organization)) => webhooks.of_organizations.entry(organization).or_default(),
                (_, None) => continue, // It concerns nobody.
            };
            let divide = |snapshot, in_flight| Divide::new(row.get(snapshot), row.get(in_flight));
            siblings.push(Webhook {
                id,
                organization_wide: project.is_none(),
                adopted: divide("adopted_snapshot", "adopted_in_flight"),
                released: divide("released_snapshot", "released_in_flight"),
                send_payload: row.get("send_payload"),
                all_actions: row.get("send_for_all_actions"),
                actions: row.get("actions"),
                additional_actions: row.get("additional_actions"),
                options: PayloadOptions { enriched: row.get("enrich_deletions"), previous: row.get("previous") },
                rules: rules(row.get("rules")),
            });
        }
        Ok(webhooks)
    }

    /// Those that hear of what happens there, by id.
    fn around(&self, place: Place) -> Vec<&Webhook> {
        let Some(organization) = self.organizations.get(&place).copied().flatten() else {
            return Vec::new();
        };
        let own = match place {
            Place::Project(project) => self.of_projects.get(&(project, organization)),
            Place::Organization(_) => None,
        };
        let wide = self.of_organizations.get(&organization);
        let mut all: Vec<&Webhook> = own.into_iter().chain(wide).flatten().collect();
        all.sort_unstable_by_key(|webhook| webhook.id);
        all
    }

    /// Whether nothing is known of a project any more, so that nobody knows who receives its events.
    pub fn is_unknown(&self, scope: Scope) -> bool {
        scope.project().is_some_and(|project| self.organizations.get(&Place::Project(project)) == Some(&None))
    }

    /// Whether somebody wants to hear of an action in a project.
    pub fn want(&self, project: i64, action: Action) -> bool {
        self.around(Place::Project(project)).iter().any(|webhook| webhook.wants(action))
    }

    /// An event in each way in which it is wanted; and as Label Studio shows it, where somebody only taps it.
    pub fn recipients<'a>(&'a self, event: &'a Event, is_tapped: bool) -> impl Iterator<Item = EventRecipients<'a>> {
        let place = place(event.scope, || organization(event, &self.organizations_of_users));
        let mut groups = BTreeMap::new();
        if is_tapped {
            groups.insert(PayloadOptions::default(), (Vec::new(), true));
        }
        let wanted = |each: &&Webhook| each.wants(event.action) && each.is_owed(event.transaction);
        let mut governed = Vec::new();
        for webhook in self.around(place).into_iter().filter(wanted) {
            let shown = EventView { event, options: webhook.options.of(event.action) };
            let governing = webhook.rules.iter().filter(|rule| rule.governs(event.action.name()));
            let rules: Vec<&Rule> = governing.collect();
            if !rules.is_empty() {
                governed.push(EventRecipients { shown, recipients: vec![webhook.id], with_payload: true, rules });
                continue;
            }
            let (recipients, with_payload) = groups.entry(shown.options).or_default();
            recipients.push(webhook.id);
            *with_payload |= webhook.send_payload;
        }
        let plain = groups.into_iter().map(move |(options, (recipients, with_payload))| EventRecipients {
            shown: EventView { event, options },
            recipients,
            with_payload,
            rules: Vec::new(),
        });
        plain.chain(governed)
    }
}

/// The rules of a webhook, but for those that cannot be read.
pub fn rules(rows: Vec<String>) -> Vec<Rule> {
    let read = |row: &String| match Rule::from_row(row) {
        Ok(rule) => Some(rule),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a row of lshookd.rule cannot be used; see `lshookd check`");
            None
        }
    };
    rows.iter().filter_map(read).collect()
}

/// What has a project is found by it alone.
fn place(scope: Scope, organization: impl FnOnce() -> Option<i64>) -> Place {
    match scope {
        Scope::Project(project) => Place::Project(project),
        Scope::Organization => Place::Organization(organization()),
    }
}

/// Whose an event is, as far as that is known.
fn organization(event: &Event, of_users: &HashMap<i64, i64>) -> Option<i64> {
    let of_user =
        || event.objects.first().filter(|_| event.action.kind() == Kind::User).and_then(|id| of_users.get(id));
    event.organization.or_else(|| of_user().copied())
}

/// The organizations of users whose rows name none: Label Studio puts a new user into one only afterwards.
async fn organizations_of_users(
    client: &Prepared<'_, impl GenericClient>,
    events: &[&Event],
) -> Result<HashMap<i64, i64>> {
    let unknown = events.iter().filter(|event| event.action.kind() == Kind::User && event.organization.is_none());
    let users: Vec<i64> = unknown.flat_map(|event| &event.objects).copied().collect();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = client.query(include_str!("../../sql/plan/user_organizations.sql"), &[&users]).await;
    let rows = rows.context("reading whose a user is")?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get("user_id"), row.get::<_, Option<i64>>("organization_id")?)))
        .collect())
}

impl Webhook {
    fn is_owed(&self, transaction: u64) -> bool {
        self.adopted.as_ref().is_none_or(|adopted| !adopted.is_after(transaction))
            && self.released.as_ref().is_none_or(|released| released.is_after(transaction))
    }

    fn wants(&self, action: Action) -> bool {
        let chosen = |actions: &[String]| actions.iter().any(|wanted| wanted == action.name());
        let wanted = match action.is_label_studios() {
            true => self.all_actions || chosen(&self.actions),
            false => chosen(&self.additional_actions),
        };
        wanted && (self.organization_wide || !action.organization_only())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(organization_wide: bool, all_actions: bool, actions: &[&str]) -> Webhook {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Webhook {
            id: WebhookId(1),
            organization_wide,
            adopted: None,
            released: None,
            send_payload: true,
            all_actions,
            actions,
            additional_actions: Vec::new(),
            options: PayloadOptions::default(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn actions_of_the_organization_go_to_its_own_webhooks_alone() {
        assert!(webhook(true, true, &[]).wants(Action::ProjectCreated));
        assert!(!webhook(false, true, &[]).wants(Action::ProjectCreated));
        assert!(!webhook(false, false, &["PROJECT_DELETED"]).wants(Action::ProjectDeleted));
        assert!(webhook(false, true, &[]).wants(Action::ProjectUpdated));
    }

    #[test]
    fn what_was_committed_before_a_webhook_was_released_is_still_owed_and_before_it_was_adopted_is_not() {
        let divide = Divide::new(Some("10:20:12,15"), Some(vec!["7".to_owned()]));
        let released = Webhook { released: divide.clone(), ..webhook(false, true, &[]) };
        // Committed before; running; in flight; not begun.
        assert_eq!([9, 11, 12, 7, 20].map(|xid| released.is_owed(xid)), [true, true, false, false, false]);
        let adopted = Webhook { adopted: divide, ..webhook(false, true, &[]) };
        assert_eq!([9, 11, 12, 7, 20].map(|xid| adopted.is_owed(xid)), [false, false, true, true, true]);
        assert!(webhook(false, true, &[]).is_owed(1));
    }

    #[test]
    fn a_choice_of_actions_is_respected() {
        let chosen = webhook(false, false, &["TASKS_CREATED"]);
        assert!(chosen.wants(Action::TasksCreated));
        assert!(!chosen.wants(Action::TasksDeleted));
    }

    #[test]
    fn what_label_studio_does_not_have_goes_to_those_who_chose_it() {
        let all = webhook(false, true, &["TASKS_COMPLETED"]);
        assert!(!all.wants(Action::TasksCompleted));
        let more = |actions: &[&str]| Webhook {
            additional_actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            ..webhook(false, false, &[])
        };
        assert!(more(&["TASKS_COMPLETED"]).wants(Action::TasksCompleted));
        assert!(!more(&["TASKS_CREATED"]).wants(Action::TasksCreated));
        assert!(!more(&["USER_CREATED"]).wants(Action::UserCreated));
    }

    #[test]
    fn an_event_is_shown_in_each_form_that_is_wanted() {
        let event = |action| Event {
            action,
            scope: Scope::Project(1),
            objects: vec![1],
            organization: None,
            occurred_at: std::time::SystemTime::now(),
            transaction: 1,
            end: crate::model::End::Closed,
            changed: vec![],
        };
        let of = |id, options| Webhook { id: WebhookId(id), options, ..webhook(false, true, &[]) };
        let enriched = PayloadOptions { enriched: true, previous: false };
        let all = vec![of(1, PayloadOptions::default()), of(2, enriched), of(3, PayloadOptions::default())];
        let webhooks = Webhooks {
            of_projects: HashMap::new(),
            of_organizations: [(1, all)].into(),
            organizations: [(Place::Project(1), Some(1))].into(),
            organizations_of_users: HashMap::new(),
        };
        let recipients_of = |action, is_tapped| -> Vec<(PayloadOptions, Vec<i64>)> {
            let event = event(action);
            let groups = webhooks.recipients(&event, is_tapped);
            groups.map(|group| (group.shown.options, group.recipients.iter().map(|id| id.0).collect())).collect()
        };
        assert_eq!(recipients_of(Action::TasksCreated, false), [(PayloadOptions::default(), vec![1, 2, 3])]);
        assert_eq!(
            recipients_of(Action::TasksDeleted, false),
            [(PayloadOptions::default(), vec![1, 3]), (enriched, vec![2])]
        );
        assert_eq!(recipients_of(Action::UserCreated, true), [(PayloadOptions::default(), vec![])]);
    }
}

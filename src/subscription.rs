//! Subscriptions: who receives an event, by the rows of Label Studio's `webhook` table as they
//! are at this moment (`get_active_webhooks` in Label Studio's `webhooks/utils.py`), and by what
//! lshookd has adopted of them; and how each wants it, by `lshookd.chosen_action` and
//! `lshookd.payload_option`.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use crate::database::Prepared;
use crate::event::{Action, Event, Form, Kind, Shown};
use crate::rule::Rule;

/// A webhook that lshookd serves and that concerns a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// `webhook.id`
    pub webhook: i64,
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
    pub more_actions: Vec<String>,
    /// How it wants its events.
    pub form: Form,
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

/// What [`Subscriptions::read`] runs.
pub const READ: &str = include_str!("../sql/plan/webhooks.sql");

/// Where something happened: in a project, or in none but in an organization.
type Place = (i64, Option<i64>);

/// The active webhooks, by where they hear of what happens.
pub struct Subscriptions {
    by_place: HashMap<Place, Vec<Subscription>>,
    /// Of users whose rows name none.
    organizations_of_users: HashMap<i64, i64>,
    /// Projects of which nothing is known any more: neither a row nor one that was kept.
    unknown_projects: HashSet<i64>,
}

/// An event in a form in which it is wanted, and by whom.
#[derive(Debug, Clone)]
pub struct Notice<'a> {
    /// The event and its form.
    pub shown: Shown<'a>,
    /// The webhooks, by id; none where somebody only listens.
    pub recipients: Vec<i64>,
    /// Whether one of them wants more than the action's name, or a rule has to see it.
    pub with_payload: bool,
    /// The rules that govern it for its only recipient; none where it is sent as it is.
    pub rules: Vec<&'a Rule>,
}

impl Subscriptions {
    /// Reads the webhooks that concern the events' projects.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(
        client: &Prepared<'_, impl GenericClient>,
        events: &[&Event],
        organization_webhooks: bool,
    ) -> Result<Subscriptions> {
        let organizations_of_users = organizations_of_users(client, events).await?;
        let mut places: HashMap<i64, Option<i64>> = HashMap::new();
        let mut organizations: Vec<Option<i64>> = Vec::new();
        for event in events {
            if event.project == 0 {
                organizations.push(organization(event, &organizations_of_users));
                continue;
            }
            let known = places.entry(event.project).or_default();
            *known = known.or(event.organization);
        }
        organizations.sort_unstable();
        organizations.dedup();
        let mut projects: Vec<i64> = vec![0; organizations.len()];
        for (project, organization) in places {
            projects.push(project);
            organizations.push(organization);
        }
        let rows = client
            .query(READ, &[&projects, &organizations, &organization_webhooks])
            .await
            .context("reading Label Studio's webhook table")?;
        let mut by_place: HashMap<Place, Vec<Subscription>> = HashMap::new();
        let mut unknown_projects = HashSet::new();
        for row in rows {
            let project: i64 = row.get("for_project");
            if project != 0 && row.get::<_, Option<i64>>("organization_id").is_none() {
                unknown_projects.insert(project);
            }
            let Some(webhook) = row.get("webhook") else {
                continue;
            };
            let divide = |snapshot, in_flight| Divide::new(row.get(snapshot), row.get(in_flight));
            let place = place(project, row.get("for_organization"));
            by_place.entry(place).or_default().push(Subscription {
                webhook,
                organization_wide: row.get("organization_wide"),
                adopted: divide("adopted_snapshot", "adopted_in_flight"),
                released: divide("released_snapshot", "released_in_flight"),
                send_payload: row.get("send_payload"),
                all_actions: row.get("send_for_all_actions"),
                actions: row.get("actions"),
                more_actions: row.get("more_actions"),
                form: Form { enriched: row.get("enrich_deletions"), previous: row.get("previous") },
                rules: rules(row.get("rules")),
            });
        }
        Ok(Subscriptions { by_place, organizations_of_users, unknown_projects })
    }

    /// Whether nothing is known of a project any more, so that nobody knows who receives its events.
    pub fn is_unknown(&self, project: i64) -> bool {
        self.unknown_projects.contains(&project)
    }

    /// Whether somebody wants to hear of an action in a project.
    pub fn want(&self, project: i64, action: Action) -> bool {
        let all = self.by_place.get(&place(project, None)).map(Vec::as_slice).unwrap_or_default();
        all.iter().any(|subscription| subscription.wants(action))
    }

    /// An event in each form in which it is wanted; and as Label Studio shows it, where somebody only
    /// listens.
    pub fn notices<'a>(&'a self, event: &'a Event, listened_to: bool) -> impl Iterator<Item = Notice<'a>> {
        let place = place(event.project, organization(event, &self.organizations_of_users));
        let all = self.by_place.get(&place).map(Vec::as_slice).unwrap_or_default();
        let mut notices = BTreeMap::new();
        if listened_to {
            notices.insert(Form::default(), (Vec::new(), true));
        }
        let wanted = |each: &&Subscription| each.wants(event.action) && each.is_owed(event.transaction);
        let mut governed = Vec::new();
        for subscription in all.iter().filter(wanted) {
            let shown = Shown { event, form: subscription.form.of(event.action) };
            let governing = subscription.rules.iter().filter(|rule| rule.governs(event.action.name()));
            let rules: Vec<&Rule> = governing.collect();
            if !rules.is_empty() {
                governed.push(Notice { shown, recipients: vec![subscription.webhook], with_payload: true, rules });
                continue;
            }
            let (recipients, with_payload) = notices.entry(shown.form).or_default();
            recipients.push(subscription.webhook);
            *with_payload |= subscription.send_payload;
        }
        let plain = notices.into_iter().map(move |(form, (recipients, with_payload))| Notice {
            shown: Shown { event, form },
            recipients,
            with_payload,
            rules: Vec::new(),
        });
        plain.chain(governed)
    }
}

/// The rules of a webhook, but for those that cannot be read.
fn rules(rows: Vec<String>) -> Vec<Rule> {
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
fn place(project: i64, organization: Option<i64>) -> Place {
    (project, organization.filter(|_| project == 0))
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
    let rows = client.query(include_str!("../sql/plan/user_organizations.sql"), &[&users]).await;
    let rows = rows.context("reading whose a user is")?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get("user_id"), row.get::<_, Option<i64>>("organization_id")?)))
        .collect())
}

impl Subscription {
    fn is_owed(&self, transaction: u64) -> bool {
        self.adopted.as_ref().is_none_or(|adopted| !adopted.is_after(transaction))
            && self.released.as_ref().is_none_or(|released| released.is_after(transaction))
    }

    fn wants(&self, action: Action) -> bool {
        let chosen = |actions: &[String]| actions.iter().any(|wanted| wanted == action.name());
        let wanted = match action.is_label_studios() {
            true => self.all_actions || chosen(&self.actions),
            false => chosen(&self.more_actions),
        };
        wanted && (self.organization_wide || !action.organization_only())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(organization_wide: bool, all_actions: bool, actions: &[&str]) -> Subscription {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Subscription {
            webhook: 1,
            organization_wide,
            adopted: None,
            released: None,
            send_payload: true,
            all_actions,
            actions,
            more_actions: Vec::new(),
            form: Form::default(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn actions_of_the_organization_go_to_its_own_webhooks_alone() {
        assert!(subscription(true, true, &[]).wants(Action::ProjectCreated));
        assert!(!subscription(false, true, &[]).wants(Action::ProjectCreated));
        assert!(!subscription(false, false, &["PROJECT_DELETED"]).wants(Action::ProjectDeleted));
        assert!(subscription(false, true, &[]).wants(Action::ProjectUpdated));
    }

    #[test]
    fn what_was_committed_before_a_webhook_was_released_is_still_owed_and_before_it_was_adopted_is_not() {
        let divide = Divide::new(Some("10:20:12,15"), Some(vec!["7".to_owned()]));
        let released = Subscription { released: divide.clone(), ..subscription(false, true, &[]) };
        // Committed before; running; in flight; not begun.
        assert_eq!([9, 11, 12, 7, 20].map(|xid| released.is_owed(xid)), [true, true, false, false, false]);
        let adopted = Subscription { adopted: divide, ..subscription(false, true, &[]) };
        assert_eq!([9, 11, 12, 7, 20].map(|xid| adopted.is_owed(xid)), [false, false, true, true, true]);
        assert!(subscription(false, true, &[]).is_owed(1));
    }

    #[test]
    fn a_choice_of_actions_is_respected() {
        let chosen = subscription(false, false, &["TASKS_CREATED"]);
        assert!(chosen.wants(Action::TasksCreated));
        assert!(!chosen.wants(Action::TasksDeleted));
    }

    #[test]
    fn what_label_studio_does_not_have_goes_to_those_who_chose_it() {
        let all = subscription(false, true, &["TASKS_COMPLETED"]);
        assert!(!all.wants(Action::TasksCompleted));
        let more = |actions: &[&str]| Subscription {
            more_actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            ..subscription(false, false, &[])
        };
        assert!(more(&["TASKS_COMPLETED"]).wants(Action::TasksCompleted));
        assert!(!more(&["TASKS_CREATED"]).wants(Action::TasksCreated));
        assert!(!more(&["USER_CREATED"]).wants(Action::UserCreated));
    }

    #[test]
    fn an_event_is_shown_in_each_form_that_is_wanted() {
        let event = |action| Event {
            action,
            project: 1,
            objects: vec![1],
            organization: None,
            occurred_at: std::time::SystemTime::now(),
            transaction: 1,
            end: crate::event::End::Closed,
            changed: vec![],
        };
        let of = |webhook, form| Subscription { webhook, form, ..subscription(false, true, &[]) };
        let enriched = Form { enriched: true, previous: false };
        let all = vec![of(1, Form::default()), of(2, enriched), of(3, Form::default())];
        let by_place = [((1, None), all)].into();
        let subscriptions =
            Subscriptions { by_place, organizations_of_users: HashMap::new(), unknown_projects: HashSet::new() };
        let recipients = |action, listened_to| -> Vec<(Form, Vec<i64>)> {
            let event = event(action);
            let notices = subscriptions.notices(&event, listened_to);
            notices.map(|notice| (notice.shown.form, notice.recipients)).collect()
        };
        assert_eq!(recipients(Action::TasksCreated, false), [(Form::default(), vec![1, 2, 3])]);
        assert_eq!(recipients(Action::TasksDeleted, false), [(Form::default(), vec![1, 3]), (enriched, vec![2])]);
        assert_eq!(recipients(Action::UserCreated, true), [(Form::default(), vec![])]);
    }
}

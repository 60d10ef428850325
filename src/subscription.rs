//! Subscriptions: who receives an event, by the rows of Label Studio's `webhook` table as they
//! are at this moment (`get_active_webhooks` in Label Studio's `webhooks/utils.py`), and by what
//! lshookd has adopted of them.

use std::collections::HashMap;
use std::time::SystemTime;

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use crate::database::Prepared;
use crate::event::{Action, Event};

/// A webhook that lshookd serves and that concerns a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// `webhook.id`
    pub webhook: i64,
    /// Whether it belongs to the organization and not to one project.
    pub organization_wide: bool,
    /// Since when Label Studio alone delivers it again, where it was given back.
    pub released_at: Option<SystemTime>,
    /// Whether it wants objects, or the action's name alone.
    pub send_payload: bool,
    /// Whether it wants every action.
    pub all_actions: bool,
    /// The actions it wants otherwise.
    pub actions: Vec<String>,
}

/// The active webhooks, by project.
pub struct Subscriptions(HashMap<i64, Vec<Subscription>>);

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
        let organizations: HashMap<i64, Option<i64>> = events.iter().fold(HashMap::new(), |mut all, event| {
            let known = all.entry(event.project).or_default();
            *known = known.or(event.organization);
            all
        });
        let (projects, organizations): (Vec<i64>, Vec<Option<i64>>) = organizations.into_iter().unzip();
        let rows = client
            .query(include_str!("../sql/subscriptions.sql"), &[&projects, &organizations, &organization_webhooks])
            .await
            .context("reading Label Studio's webhook table")?;
        let mut by_project: HashMap<i64, Vec<Subscription>> = HashMap::new();
        for row in rows {
            by_project.entry(row.get("for_project")).or_default().push(Subscription {
                webhook: row.get("webhook"),
                organization_wide: row.get("organization_wide"),
                released_at: row.get("released_at"),
                send_payload: row.get("send_payload"),
                all_actions: row.get("send_for_all_actions"),
                actions: row.get("actions"),
            });
        }
        Ok(Subscriptions(by_project))
    }

    /// Those that receive an event, in the order of their ids.
    pub fn of(&self, event: &Event) -> impl Iterator<Item = &Subscription> {
        let all = self.0.get(&event.project).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|subscription| subscription.wants(event.action) && subscription.is_owed(event.occurred_at))
    }
}

impl Subscription {
    fn is_owed(&self, occurred_at: SystemTime) -> bool {
        self.released_at.is_none_or(|released_at| occurred_at < released_at)
    }

    fn wants(&self, action: Action) -> bool {
        (self.organization_wide || !action.organization_only())
            && (self.all_actions || self.actions.iter().any(|wanted| wanted == action.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(organization_wide: bool, all_actions: bool, actions: &[&str]) -> Subscription {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Subscription { webhook: 1, organization_wide, released_at: None, send_payload: true, all_actions, actions }
    }

    #[test]
    fn actions_of_the_organization_go_to_its_own_webhooks_alone() {
        assert!(subscription(true, true, &[]).wants(Action::ProjectCreated));
        assert!(!subscription(false, true, &[]).wants(Action::ProjectCreated));
        assert!(!subscription(false, false, &["PROJECT_DELETED"]).wants(Action::ProjectDeleted));
        assert!(subscription(false, true, &[]).wants(Action::ProjectUpdated));
    }

    #[test]
    fn what_occurred_before_a_webhook_was_given_back_is_still_owed() {
        let now = SystemTime::now();
        let second = std::time::Duration::from_secs(1);
        let released = Subscription { released_at: Some(now), ..subscription(false, true, &[]) };
        assert!(released.is_owed(now - second));
        assert!(!released.is_owed(now + second));
        assert!(subscription(false, true, &[]).is_owed(now));
    }

    #[test]
    fn a_choice_of_actions_is_respected() {
        let chosen = subscription(false, false, &["TASKS_CREATED"]);
        assert!(chosen.wants(Action::TasksCreated));
        assert!(!chosen.wants(Action::TasksDeleted));
    }
}

//! The language of the tables.

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;

use crate::scenario_run::ScenarioRun;

/// How the two senders compare.
#[derive(Debug, Clone, Copy)]
pub enum Claim {
    /// Event for event, value for value.
    Same,
    /// The same events; these fields differ, for Label Studio reads them before its own last
    /// writes and lshookd after.
    ReadEarly(&'static [&'static str]),
    /// Label Studio sends this to the webhook of the project, which is less or other than the
    /// truth; and why.
    Differs(&'static [&'static str], &'static str),
    /// Some versions of Label Studio refuse it or undo it, and then neither sends anything; the
    /// others do it, and both send the same. Why.
    SameOrNeither(&'static str),
    /// Neither sends anything; why.
    Nothing(&'static str),
}

/// Among fields read early: Label Studio lists the tasks in no order.
pub const ORDER: &str = "order of tasks";

/// What is done; it changes nothing else on the run.
pub type Act = for<'a> fn(&'a mut ScenarioRun) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One thing that people do.
pub struct Scenario {
    /// In the imperative.
    pub what: &'static str,
    /// What lshookd sends to the webhook of the project, in order (to that of the organization,
    /// where it is about the project itself).
    pub actions: &'static [&'static str],
    /// How that compares.
    pub claim: Claim,
    /// How it is done.
    pub act: Act,
}

/// Scenarios that build on each other, in their order.
pub struct Table {
    /// What they are about.
    pub name: &'static str,
    /// Whether they begin with a project and its webhooks; the tour makes its own.
    pub furnished: bool,
    /// Whether Label Studio hands its jobs to workers.
    pub workers: bool,
    /// One row each.
    pub scenarios: Vec<Scenario>,
}

/// A row: what, which actions, the claim, and how it is done.
macro_rules! scenario {
    ($what:literal, [$($action:literal),*], $claim:expr, |$run:ident| $act:expr) => {
        $crate::scenario::Scenario {
            what: $what,
            actions: &[$($action),*],
            claim: $claim,
            act: |$run| Box::pin(async move { let _ = $act?; Ok(()) }),
        }
    };
}
pub(crate) use scenario;

/// What a storage brings: tasks whose payload Label Studio reads before these keys are as they stay. Versions before
/// 1.10 do not say it at all.
pub fn synchronized(read_early: &'static [&'static str]) -> Claim {
    match label_studio_is_before(1, 10) {
        true => Claim::Differs(&[], "it does not say what a storage brought"),
        false => Claim::ReadEarly(read_early),
    }
}

/// Whether the version of Label Studio that is tried is older.
pub fn label_studio_is_before(major: u32, minor: u32) -> bool {
    let version = std::env::var("LSHOOKD_TEST_LABEL_STUDIO").unwrap_or_default();
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(its_major), Some(its_minor)) => (its_major, its_minor) < (major, minor),
        _ => false,
    }
}

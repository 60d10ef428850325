//! Findings: what was found, how bad it is, and what to do about it.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warning,
    /// Events are not captured, planned or delivered.
    Error,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Stays the same from version to version.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// As it should be.
    pub fn ok(&mut self, code: &'static str, message: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Ok, message: message.into(), hint: None });
    }

    /// Worth a look.
    pub fn warn(&mut self, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Warning, message: message.into(), hint: Some(hint.into()) });
    }

    /// Events are not captured, planned or delivered.
    pub fn fail(&mut self, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding { code, level: Level::Error, message: message.into(), hint: Some(hint.into()) });
    }

    /// Those of another look behind these.
    pub fn extend(&mut self, others: Findings) {
        self.0.extend(others.0);
    }
}

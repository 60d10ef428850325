//! Failures that an operator meets, each with a code that stays the same from version to version;
//! `docs/troubleshooting.md` lists them, beside those of `check`.

use std::fmt;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A setting, or a key that is none.
    Setting,
    /// PostgreSQL cannot be reached, or refuses the login.
    Database,
    /// There is a pooler between here and PostgreSQL.
    Pooler,
    /// PostgreSQL is too old.
    Postgresql,
    /// This is not, or not only, a database of Label Studio's.
    LabelStudio,
    /// lshookd is not installed in it.
    NotInstalled,
    /// The installation and this program are of different versions.
    Version,
    /// The role may not do this.
    Privileges,
    /// A table of Label Studio's stayed locked.
    TableLocked,
    /// It would lose something, and nobody said that it may.
    WouldLose,
    /// There is no such webhook.
    UnknownWebhook,
    /// There is no such delivery.
    UnknownDelivery,
    /// There is no such project or organization.
    UnknownProject,
    /// A choice that does not go together, or that chooses nothing.
    Choice,
    /// The endpoint did not take a test.
    Endpoint,
    /// Anything else; the message says what.
    Other,
}

impl Code {
    /// All of them.
    #[cfg(test)]
    const ALL: [Code; 16] = [
        Code::Setting,
        Code::Database,
        Code::Pooler,
        Code::Postgresql,
        Code::LabelStudio,
        Code::NotInstalled,
        Code::Version,
        Code::Privileges,
        Code::TableLocked,
        Code::WouldLose,
        Code::UnknownWebhook,
        Code::UnknownDelivery,
        Code::UnknownProject,
        Code::Choice,
        Code::Endpoint,
        Code::Other,
    ];

    /// As it is printed and listed.
    pub fn name(self) -> &'static str {
        match self {
            Code::Setting => "setting",
            Code::Database => "database",
            Code::Pooler => "pooler",
            Code::Postgresql => "postgresql",
            Code::LabelStudio => "label-studio",
            Code::NotInstalled => "not-installed",
            Code::Version => "version",
            Code::Privileges => "privileges",
            Code::TableLocked => "table-locked",
            Code::WouldLose => "would-lose",
            Code::UnknownWebhook => "unknown-webhook",
            Code::UnknownDelivery => "unknown-delivery",
            Code::UnknownProject => "unknown-project",
            Code::Choice => "choice",
            Code::Endpoint => "endpoint",
            Code::Other => "other",
        }
    }

    /// The code of an error, whatever was said of it afterwards.
    pub fn of(error: &anyhow::Error) -> Code {
        // A failure that was explained by another one is of the other's kind.
        error.downcast_ref::<Failure>().map_or(Code::Other, |failure| failure.code)
    }
}

/// A failure: its kind, what happened, to what, and what to do next.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Returns a [`Failure`] of the kind that comes first.
macro_rules! fail {
    ($code:ident, $($message:tt)*) => {
        return Err($crate::error::Failure::new($crate::error::Code::$code, format!($($message)*)).into())
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn every_code_is_documented() {
        let document = std::fs::read_to_string("docs/troubleshooting.md").unwrap();
        for code in Code::ALL {
            assert!(document.contains(&format!("`{}`", code.name())), "{}", code.name());
        }
    }

    #[test]
    fn the_code_is_found_behind_what_was_said_of_it() {
        let fails = || -> anyhow::Result<()> { fail!(WouldLose, "{} deliveries", 3) };
        let error = fails().context("uninstalling").unwrap_err();
        assert_eq!(
            (Code::of(&error), format!("{error:#}")),
            (Code::WouldLose, "uninstalling: 3 deliveries".to_owned())
        );
        assert_eq!(Code::of(&anyhow::anyhow!("else")), Code::Other);
    }
}

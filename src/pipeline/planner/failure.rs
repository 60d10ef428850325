//! Why a transaction of the planner's failed, and what that means for its changes.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::WrongType;

use crate::pipeline::render::Unrenderable;
use crate::queue::BodyTooLarge;

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A lane that the transaction wakes was closed, or given a pause, since it began; or a table that it reads is
    /// locked: it is done over.
    Collision,
    /// The server refuses now, or the connection is lost: the changes wait.
    Passing,
    /// It may pass or be permanent: it is done over a few times, and then taken for permanent.
    Doubtful,
    /// A value that cannot be read or is too large: the changes are set aside.
    Permanent,
}

impl Failure {
    /// What an error of a transaction on a client means, by PostgreSQL's codes (Appendix A of its documentation).
    pub fn of(error: &anyhow::Error, client: &Client) -> Failure {
        if error.is::<BodyTooLarge>() || error.is::<Unrenderable>() {
            return Failure::Permanent;
        }
        let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()) else {
            return match error.chain().any(|cause| cause.is::<serde_json::Error>()) {
                true => Failure::Permanent,
                false => Failure::Passing,
            };
        };
        match error.code() {
            Some(code) => Failure::of_code(code),
            // A value that this program cannot read; anything else is the connection's end.
            None if !client.is_closed()
                && std::error::Error::source(error).is_some_and(|cause| cause.is::<WrongType>()) =>
            {
                Failure::Permanent
            }
            None => Failure::Passing,
        }
    }

    fn of_code(code: &SqlState) -> Failure {
        match code.code() {
            "40001" | "55P03" => Failure::Collision,
            // Data exceptions; a row that breaks a rule of our own tables.
            class if class.starts_with("22") || class.starts_with("23") => Failure::Permanent,
            // A limit of the program: a value beyond a gigabyte, or the queue of notifications, which is full.
            "54000" => Failure::Doubtful,
            // Internal errors: how PostgreSQL speaks of a value beyond a gigabyte, of what was dropped meanwhile, and
            // of pages that it cannot read.
            "XX000" | "XX001" | "XX002" => Failure::Doubtful,
            // Among others too many columns, too complex, too many arguments: statements are what they are.
            _ => Failure::Passing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_data_are_told_from_those_of_the_server() {
        for (code, failure) in [
            ("22003", Failure::Permanent), // numeric value out of range
            ("22P05", Failure::Permanent), // untranslatable character
            ("23514", Failure::Permanent), // check violation
            ("54000", Failure::Doubtful),  // program limit exceeded: too many notifications in the NOTIFY queue
            ("54001", Failure::Passing),   // statement too complex
            ("XX000", Failure::Doubtful),  // invalid memory alloc request size
            ("XX001", Failure::Doubtful),  // invalid page in block
            ("42501", Failure::Passing),   // row-level security would hide rows; no privilege
            ("42P01", Failure::Passing),   // a table is renamed for the time being
            ("40001", Failure::Collision), // serialization failure
            ("53100", Failure::Passing),   // disk full
            ("53200", Failure::Passing),   // out of memory
            ("55P03", Failure::Collision), // lock not available
            ("57014", Failure::Passing),   // query canceled
            ("57P01", Failure::Passing),   // admin shutdown
            ("25006", Failure::Passing),   // read-only transaction
            ("25P03", Failure::Passing),   // idle in transaction
            ("08006", Failure::Passing),   // connection failure
            ("0A000", Failure::Passing),   // feature not supported
        ] {
            assert_eq!(Failure::of_code(&SqlState::from_code(code)), failure, "{code}");
        }
    }
}

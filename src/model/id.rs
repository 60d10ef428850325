//! Ids that are easily taken for each other, and where something happened.

use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, FromSql, ToSql,
        )]
        #[serde(transparent)]
        #[postgres(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

id! {
    /// `webhook.id` in Label Studio's schema.
    WebhookId
}
id! {
    /// `delivery.id` in lshookd's schema.
    DeliveryId
}

/// Names a lane: the ordered queue of one webhook in one project, or of the organization at large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Whose deliveries it holds.
    pub webhook: WebhookId,
    /// Of events from where.
    pub scope: Scope,
}

/// Where something happened. In lshookd's tables it is one number, `project_id`: of the organization it is 0, which no
/// project of Label Studio's has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum Scope {
    /// In no project.
    Organization,
    /// In the project of this `project.id`.
    Project(i64),
}

impl Scope {
    /// The project, if it is one.
    ///
    /// ```
    /// use lshookd::model::Scope;
    ///
    /// assert_eq!(Scope::from(7).project(), Some(7));
    /// assert_eq!(Scope::from(0).project(), None);
    /// ```
    pub fn project(self) -> Option<i64> {
        match self {
            Scope::Organization => None,
            Scope::Project(id) => Some(id),
        }
    }
}

impl From<i64> for Scope {
    fn from(project_id: i64) -> Scope {
        match project_id {
            0 => Scope::Organization,
            id => Scope::Project(id),
        }
    }
}

impl From<Scope> for i64 {
    fn from(scope: Scope) -> i64 {
        scope.project().unwrap_or(0)
    }
}

impl FromStr for Scope {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<i64>().map(Scope::from)
    }
}

/// As the number that stands for it.
impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        i64::from(*self).fmt(formatter)
    }
}

impl<'a> FromSql<'a> for Scope {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        i64::from_sql(kind, raw).map(Scope::from)
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as FromSql>::accepts(kind)
    }
}

impl ToSql for Scope {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        i64::from(*self).to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

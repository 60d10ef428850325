//! What people do in Label Studio, told as tables of scenarios; both senders record what they
//! send, and each scenario claims how the two compare.
//!
//! [`scenarios`] are the tables, readable without the rest; [`scenario`] is the language they
//! are written in; [`run`] plays one and judges it.

pub mod compare;
pub mod compatibility;
pub mod differences;
pub mod scenario;
pub mod scenario_run;
pub mod scenarios;
pub mod schema;

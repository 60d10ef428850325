//! lshookd delivers Label Studio's webhooks out of PostgreSQL.
//!
//! A change goes down through the rooms of this house, each knowing only those below it:
//!
//! | room | holds | relies on |
//! | --- | --- | --- |
//! | [`cli`] | arguments, and what is printed | ops, daemon, schema |
//! | [`daemon`] | roles, supervision, signals | pipeline, deliver, pull, retention, admin |
//! | [`admin`] | HTTP listener, metrics, page | ops, health |
//! | [`ops`] | what an operator asks for: status, adopt, pause, replay, … | queue, pipeline, deliver, schema |
//! | [`pipeline`] | changes → events: listen, gather, plan, render, rules | queue, schema, label_studio |
//! | [`pull`] | events → consumers that ask for them: listener, leases, tokens | deliver, pg |
//! | [`deliver`] | events → requests: lanes, sender, egress policy, record | pg, model |
//! | [`retention`] | deletes what ended long ago | pg |
//! | [`schema`] | install, upgrade, compare | label_studio, pg |
//! | [`queue`] | changes, events, deliveries, lanes: their SQL | pg, model |
//! | [`label_studio`] | Label Studio's tables and their catalog | pg, model |
//! | [`pg`] | sessions, prepared statements, TLS, locks, roles | config, error |
//! | [`health`], [`metrics`] | what this daemon knows of itself | pg, model |
//! | `listener` | connections of the HTTP listeners | nothing |
//! | [`tls`] | whom TLS trusts | nothing |
//! | [`config`], [`model`], [`error`] | settings, actions and events, failures | nothing |
//!
//! The test `layers` prints the floors and fails on an import that goes up.

#[macro_use]
pub mod error;

pub mod admin;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod health;
pub mod label_studio;
mod listener;
pub mod metrics;
pub mod model;
pub mod ops;
pub mod pg;
pub mod pipeline;
pub mod pull;
pub mod queue;
pub mod retention;
pub mod schema;
pub mod tls;

#[cfg(test)]
mod layers;

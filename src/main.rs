//! lshookd sends Label Studio's webhooks out of PostgreSQL.
//!
//! The modules follow the way of a change, each knowing its own stage alone:
//!
//! [`listen`] ▶ [`change`] ▶ [`gather`] ▶ [`plan`] ▶ [`render`] ▶ [`queue`] ▶ [`deliver`]
//!
//! [`daemon`] ties the stages together; [`retention`] deletes what was sent long ago;
//! [`admin`] shows what goes on, [`metrics`] counts it; [`install`] and [`uninstall`] put the triggers in place and take them away; [`cli`],
//! [`command`] and [`settings`] face the operator, [`failure`] is what they say when they cannot go on.

#[macro_use]
mod terminal;
#[macro_use]
mod failure;

mod admin;
mod catalog;
mod change;
mod cli;
mod command;
mod completion;
mod daemon;
mod database;
mod deliver;
mod event;
mod gather;
mod heartbeat;
mod install;
mod label_studio;
mod listen;
mod metrics;
mod plan;
mod queue;
mod render;
mod retention;
mod rule;
mod settings;
mod subscription;
mod uninstall;

fn main() -> std::process::ExitCode {
    cli::main()
}

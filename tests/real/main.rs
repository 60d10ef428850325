//! The specification of lshookd, against real parts: PostgreSQL, Label Studio, HTTP.

mod bed;
mod capture;
mod commands;
mod consumers;
mod crowd;
mod delivery;
mod events;
mod faults;
mod label_studio;
mod ledger;
mod upgrade;

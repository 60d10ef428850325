//! From changes to events.

pub mod completion;
pub mod gather;
pub mod interruption;
pub mod listen;
pub mod operation;
pub mod plan;
pub mod planner;
pub mod render;
pub mod rule;
pub mod webhook;

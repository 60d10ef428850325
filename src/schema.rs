//! The schema `lshookd` and the triggers on Label Studio's tables: installed, upgraded, compared with this version.

pub mod install;
mod objects;

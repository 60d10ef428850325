//! The specification of lshookd, against real parts: PostgreSQL, Label Studio, HTTP.

mod additional_actions;
mod admin;
mod capture;
mod commands;
mod consumers;
mod crowd;
mod delivery;
mod endpoints;
mod events;
mod faults;
mod gone;
mod health;
mod hostile;
mod label_studio;
mod ledger;
mod neighbors;
mod operator;
mod payloads;
mod published;
mod replication;
mod rights;
mod rules;
mod signatures;
mod test_env;
mod tls;
mod upgrade;

#[test]
fn every_guarantee_names_tests_that_are_there() {
    let document = include_str!("../../docs/guarantees.md");
    let names: Vec<(&str, &str)> = document.split('`').filter_map(|code| code.rsplit_once("::")).collect();
    assert!(names.len() >= document.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count());
    for (module, test) in names {
        let path = format!("{}/tests/real/{}.rs", env!("CARGO_MANIFEST_DIR"), module.replace("::", "/"));
        let source = std::fs::read_to_string(&path).expect(&path);
        // A row of a macro's names its test without fn.
        let is_there = source.contains(&format!("fn {test}(")) || source.contains(&format!(" {test}: "));
        assert!(is_there, "{module}::{test}");
    }
}

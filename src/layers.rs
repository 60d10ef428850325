//! The floors of this house: which room imports which, read from the sources. `cargo test --lib layers --
//! --nocapture` prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The rooms from the ground up, as the documentation of the crate has them from the roof down.
const GROUND_UP: &[&str] = &[
    "error",
    "model",
    "config",
    "tls",
    "listener",
    "pg",
    "metrics",
    "health",
    "label_studio",
    "queue",
    "schema",
    "retention",
    "deliver",
    "pull",
    "pipeline",
    "ops",
    "admin",
    "daemon",
    "cli",
];

/// By room the rooms that its files name, and by each of those one file that does.
fn imports() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut imports: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut folders = vec![Path::new("src").to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix("src").unwrap().to_string_lossy().into_owned();
            let room = name.split(['/', '.']).next().unwrap().to_owned();
            if !name.ends_with(".rs") || ["main", "lib", "layers"].contains(&room.as_str()) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // What only tests import makes no floor.
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let mut rooms = BTreeSet::new();
            for (_, rest) in text.match_indices("crate::").map(|(place, found)| text.split_at(place + found.len())) {
                match rest.strip_prefix('{') {
                    Some(group) => {
                        let group = group.split('}').next().unwrap();
                        rooms.extend(group.split(',').map(|item| item.trim().split("::").next().unwrap().to_owned()));
                    }
                    None => {
                        rooms.insert(
                            rest.split(|each: char| !each.is_alphanumeric() && each != '_').next().unwrap().to_owned(),
                        );
                    }
                }
            }
            for imported in rooms.into_iter().filter(|imported| *imported != room && !imported.is_empty()) {
                imports.entry(room.clone()).or_default().insert(imported, name.clone());
            }
        }
    }
    imports
}

#[test]
fn every_import_goes_down() {
    let imports = imports();
    let floor = |room: &str| GROUND_UP.iter().position(|each| *each == room);
    let mut upward = Vec::new();
    for room in GROUND_UP.iter().rev() {
        let below: Vec<&str> =
            imports.get(*room).into_iter().flatten().map(|(imported, _)| imported.as_str()).collect();
        println!("{room:<13} {}", below.join(", "));
    }
    for (room, imported) in &imports {
        assert!(floor(room).is_some(), "{room} is no room of GROUND_UP");
        for (other, file) in imported {
            if floor(other).is_none_or(|other| Some(other) >= floor(room)) {
                upward.push(format!("{file} imports {other}"));
            }
        }
    }
    assert!(upward.is_empty(), "imports that go up: {upward:#?}");
    assert!(imports.values().map(BTreeMap::len).sum::<usize>() > 30, "the sources were not read");
}

//! The specification of lshookd, against real parts: PostgreSQL, Label Studio, HTTP.

mod additional_actions;
mod admin;
mod breadth;
mod capture;
mod commands;
mod console;
mod consumers;
mod counts;
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
mod operational;
mod operator;
mod payloads;
mod proxied;
mod published;
mod pull;
mod python_client;
mod replication;
mod rights;
mod rules;
mod sharing;
mod signatures;
mod test_env;
mod tls;
mod traced;
mod upgrade;

/// Documents and pictures name files as they are called now.
#[test]
fn every_file_that_a_document_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("CONTRIBUTING.md"), root.join("README.md"), root.join("SECURITY.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let mut named = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let is_part = |character: char| character.is_alphanumeric() || "_./-".contains(character);
        let words = text.split(|character| !is_part(character)).map(|word| word.trim_end_matches('.'));
        let is_source =
            |word: &&str| ["src/", "sql/", "tests/", "bench/"].iter().any(|folder| word.starts_with(folder));
        for word in words.filter(is_source) {
            named += 1;
            assert!(root.join(word).exists(), "{} names {word}", document.display());
        }
    }
    assert!(named > 50, "only {named} files were found in the documents");
}

/// PostgreSQL takes no index for a comparison with clock_timestamp(), which is another one for each row: a statement reads
/// the whole table then, and is quick as long as there is little in it. statement_timestamp() is one for all.
#[test]
fn no_statement_compares_with_a_clock_that_no_index_takes() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            read += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for comparison in
                ["< clock_timestamp()", "> clock_timestamp()", "<= clock_timestamp()", ">= clock_timestamp()"]
            {
                assert!(!text.contains(comparison), "{}: {comparison}", path.display());
            }
        }
    }
    assert!(read > 150, "only {read} files were read");
}

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

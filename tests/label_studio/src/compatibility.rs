//! The grid in the documents: on which versions the comparison was run, and what came of it.

use crate::scenario::Table;

/// Columns that follow those of the tables, as in `tests/matrix.sh`.
const OTHERS: [&str; 3] = ["capture", "events", "delivery"];

/// `docs/compatibility.md`, from the grid that `tests/matrix.sh` writes: lines of Label Studio's
/// version, PostgreSQL's, and `yes` or `NO` for each column; or of a dump, as `FROM:INTO`.
pub fn document(tables: &[Table], grid: &str) -> String {
    let columns: Vec<&str> = tables.iter().map(|table| table.name).chain(OTHERS).collect();
    let mut text = String::from(INTRODUCTION);
    text +=
        &format!("| Label Studio | PostgreSQL | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 2));
    let rows = || grid.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    for row in rows().filter(|row| !row[1].contains(':')) {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text += RESTORED;
    for row in rows().filter(|row| row[1].contains(':')) {
        text += &format!("| {} | {} | {} |\n", row[0], row[1].replace(':', " | "), row[2]);
    }
    text
}

/// The grid that a document shows.
pub fn grid(document: &str) -> String {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.contains(|c: char| c.is_ascii_digit()));
    rows.map(|line| match cells(line).as_slice() {
        [studio, from, into, cell] => format!("{studio} {from}:{into} {cell}\n"),
        row => format!("{}\n", row.join(" ")),
    })
    .collect()
}

const INTRODUCTION: &str = "\
# Compatibility

What `make test-matrix` ran and what came of it: the scenarios of `tests/label_studio/`, a table of them in each column, played on the real Label Studio and compared as [differences.md](differences.md) says; and what `tests/real/` specifies of capture, events and delivery.

Versions of Label Studio after 1.18 need PostgreSQL 14 themselves. lshookd follows the catalog and lists no version: what one lacks of the few columns that it relies on, `lshookd install` and `lshookd run` say, and the rest is delivered.

";

const RESTORED: &str = "
## Dumps restored into another PostgreSQL

Label Studio's database, with lshookd in it and events waiting.

| Label Studio | dumped from PostgreSQL | restored into | delivers what waited and what follows |
| --- | --- | --- | --- |
";

//! The grid in the documents: on which versions the comparison was run, and what came of it.

use crate::scenario::Table;

/// Columns that follow those of the tables, as in `tests/matrix.sh`.
const OTHERS: [&str; 3] = ["capture", "events", "delivery"];

/// Columns of the versions between, as in `tests/matrix.sh`.
const BETWEEN: [&str; 3] = ["the scenarios", "payloads", "rows that are gone"];

/// What follows the grid is of another test.
pub const ENDPOINTS: &str = "\n## Endpoints\n";

/// `docs/compatibility.md`, from the grid that `tests/matrix.sh` writes: lines of Label Studio's
/// version, PostgreSQL's, and `yes` or `NO` for each column; or of a dump, as `FROM:INTO`; or of a version between.
/// What `written` has of endpoints is kept.
pub fn document(tables: &[Table], grid: &str, written: &str) -> String {
    let columns: Vec<&str> = tables.iter().map(|table| table.name).chain(OTHERS).collect();
    let mut text = String::from(INTRODUCTION);
    text +=
        &format!("| Label Studio | PostgreSQL | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 2));
    let rows = || grid.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    for row in rows().filter(|row| row[1].parse::<u32>().is_ok()) {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text += MORE;
    text += &format!("| Label Studio | {} |\n|{}\n", BETWEEN.join(" | "), " --- |".repeat(BETWEEN.len() + 1));
    for row in rows().filter(|row| row[1] == "between") {
        text += &format!("| {} | {} |\n", row[0], row[2..].join(" | "));
    }
    text += RESTORED;
    for row in rows().filter(|row| row[1].contains(':')) {
        text += &format!("| {} | {} | {} |\n", row[0], row[1].replace(':', " | "), row[2]);
    }
    text += written.find(ENDPOINTS).map_or("", |start| &written[start..]);
    text
}

/// The grid that a document shows.
pub fn grid(document: &str) -> String {
    let document = document.split(ENDPOINTS).next().unwrap_or_default();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.contains(|c: char| c.is_ascii_digit()));
    rows.map(|line| match cells(line).as_slice() {
        [studio, from, into, cell] if from.parse::<u32>().is_ok() => format!("{studio} {from}:{into} {cell}\n"),
        [studio, cells @ ..] if cells.len() == BETWEEN.len() => format!("{studio} between {}\n", cells.join(" ")),
        row => format!("{}\n", row.join(" ")),
    })
    .collect()
}

const INTRODUCTION: &str = "\
# Compatibility

What `make test-matrix` ran and what came of it: the scenarios of `tests/label_studio/`, a table of them in each column, played on the real Label Studio and compared as [differences.md](differences.md) says; and what `tests/real/` specifies of capture, events and delivery.

Versions of Label Studio after 1.18 need PostgreSQL 14 themselves. lshookd follows the catalog and lists no version: what one lacks of the few columns that it relies on, `lshookd install` and `lshookd run` say, and the rest is delivered.

";

const MORE: &str = "
## More versions of Label Studio

On PostgreSQL 15: the same scenarios; that no payload is read before Label Studio's request is over; and that no event is lost with the row that it is of. A version that did not install is not here.

";

const RESTORED: &str = "
## Dumps restored into another PostgreSQL

Label Studio's database, with lshookd in it and events waiting.

| Label Studio | dumped from PostgreSQL | restored into | delivers what waited and what follows |
| --- | --- | --- | --- |
";

//! What commands print: tables and sentences for people, JSON for programs. Nothing that people wrote into Label
//! Studio reaches the terminal as an escape.

use std::io::IsTerminal;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON and nothing else.
    pub json: bool,
}

impl Output {
    /// A sentence, or in JSON the value that stands for it.
    pub fn say(self, sentence: &str, value: &Value) {
        match self.json {
            true => say!("{value}"),
            false => say!("{}", plain(sentence)),
        };
    }

    /// A sentence on standard error, for people.
    pub fn warn(self, sentence: &str) {
        eprintln!("warning: {}", plain(sentence));
    }

    /// Rows as a table with these columns, each a key and its title; in JSON all that is in them.
    pub fn table(self, rows: &[impl Serialize], columns: &[(&str, &str)], empty: &str) {
        if self.json {
            // Structs and JSON values always have a form in JSON.
            say!("{}", serde_json::to_string(rows).unwrap_or_else(|_| "null".to_owned()));
        } else if rows.is_empty() {
            say!("{empty}");
        } else {
            say!("{}", table(&values(rows), columns));
        }
    }

    /// A bar for long work; invisible unless a person looks on.
    pub fn progress(self, total: u64) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total);
        match ProgressStyle::with_template("{wide_bar} {pos} of {len}, {per_sec}, {eta} left") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// Rows as JSON objects; what is no JSON is null.
pub fn values(rows: &[impl Serialize]) -> Vec<Value> {
    rows.iter().map(|row| serde_json::to_value(row).unwrap_or_default()).collect()
}

/// A table that fits the terminal.
pub fn table(rows: &[Value], columns: &[(&str, &str)]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|(_, title)| Cell::new(title).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(columns.iter().map(|(key, _)| {
            let text = cell(&row[*key]);
            match color(&text) {
                Some(color) => Cell::new(text).fg(color),
                None => Cell::new(text),
            }
        }));
    }
    if !std::io::stdout().is_terminal() || super::is_plain() {
        table.force_no_tty();
    }
    table.trim_fmt()
}

/// The color of a state's name.
fn color(text: &str) -> Option<Color> {
    match text {
        "ok" | "delivered" | "lshookd" => Some(Color::Green),
        "warning" | "pending" | "both" => Some(Color::Yellow),
        "error" | "dead" => Some(Color::Red),
        _ => None,
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => plain(&text.parse().map_or_else(|_| text.clone(), moment)),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => plain(&other.to_string()),
    }
}

/// A moment to the second, in UTC. A table breaks lines at spaces, and this has none that it sees.
pub fn moment(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%d\u{a0}%H:%M:%S").to_string()
}

/// Text without what a terminal would obey.
pub fn plain(text: &str) -> String {
    text.chars().map(|each| if each.is_control() && each != '\n' { '\u{fffd}' } else { each }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_wrote_is_no_escape_of_the_terminal() {
        let rows = [json!({"title": "\u{1b}]0;evil\u{7}", "at": "2026-01-02T03:04:05.678+00:00", "state": "dead"})];
        let table = table(&rows, &[("title", "title"), ("at", "at"), ("state", "state")]);
        assert!(!table.contains('\u{1b}') && !table.contains('\u{7}'), "{table:?}");
        assert!(table.contains("2026-01-02\u{a0}03:04:05 "), "{table:?}");
    }
}

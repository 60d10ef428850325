//! Objects of our schema that are created anew by each installation: functions, views and triggers, one a file of
//! `sql/`, in their final form.
//!
//! Label Studio's schema is written `label_studio` in these files, and has its real name put in its place when they
//! are run: that is the only thing that is put into SQL.

use include_dir::{Dir, include_dir};

static FUNCTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/functions");
static VIEWS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/views");
static TRIGGERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/triggers");

/// An object, and the statement that creates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Its name, without a schema: that of its file.
    pub name: &'static str,
    /// Its file's text.
    pub sql: &'static str,
}

/// A trigger on one of Label Studio's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its table's name, without a schema.
    pub table: &'static str,
    /// The function that it calls, with our schema.
    pub function: &'static str,
    /// The statement that creates it.
    pub create: String,
}

/// The functions, by folder and name.
pub fn functions() -> Vec<Object> {
    let mut all: Vec<Object> = FUNCTIONS.dirs().flat_map(objects).collect();
    all.sort_by_key(|object| object.name);
    all
}

/// The views, in an order in which each comes after those that it is made of.
pub fn views() -> Vec<Object> {
    let mut all: Vec<Object> = objects(&VIEWS).collect();
    all.sort_by_key(|object| (object.name != "label_studio", object.name));
    all
}

/// The triggers on the tables of a schema.
pub fn triggers(schema: &str) -> Vec<Trigger> {
    let mut all: Vec<Trigger> = objects(&TRIGGERS)
        .map(|object| Trigger {
            name: format!("lshookd_{}", object.name),
            table: between(object.sql, "label_studio.", "\n"),
            function: between(object.sql, "execute function ", "("),
            create: in_schema(object.sql, schema),
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

impl Trigger {
    /// As PostgreSQL's `pg_get_triggerdef` gives it, in lower case.
    pub fn definition(&self) -> String {
        let words: Vec<&str> = self.create.split_whitespace().collect();
        words.join(" ").trim_end_matches(';').to_lowercase()
    }
}

/// A statement with the name of Label Studio's schema in it.
pub fn in_schema(sql: &str, schema: &str) -> String {
    sql.replace("label_studio.", &format!("{}.", quoted(schema)))
}

/// A name as PostgreSQL's `quote_ident` writes it.
fn quoted(name: &str) -> String {
    let is_plain = |place: usize, each: char| matches!(each, 'a'..='z' | '_') || (place > 0 && each.is_ascii_digit());
    match name.chars().enumerate().all(|(place, each)| is_plain(place, each)) {
        // A word that means something in SQL would have to be quoted; no schema of Label Studio's is one.
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn objects(folder: &'static Dir<'static>) -> impl Iterator<Item = Object> {
    folder.files().filter_map(|file| {
        let name = file.path().file_stem()?.to_str()?;
        Some(Object { name, sql: file.contents_utf8()? })
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_creates_the_object_that_it_is_named_for() {
        assert!(functions().len() > 40 && views().len() > 5);
        for Object { name, sql } in functions() {
            assert_eq!(
                sql.matches("\ncreate or replace function").count() + usize::from(sql.starts_with("create")),
                1,
                "{name}"
            );
            assert!(sql.contains(&format!("create or replace function lshookd.{name}(")), "{name}");
        }
        for Object { name, sql } in views() {
            assert!(sql.contains(&format!("create or replace view lshookd.{name} as")), "{name}");
        }
        for trigger in triggers("public") {
            assert!(trigger.create.starts_with(&format!("create trigger {}\n", trigger.name)), "{trigger:?}");
            assert!(trigger.function.starts_with("lshookd.capture_") && !trigger.table.is_empty(), "{trigger:?}");
        }
    }

    #[test]
    fn every_function_pins_its_path() {
        for Object { name, sql } in functions() {
            assert!(sql.contains("set search_path = pg_catalog, pg_temp"), "{name}");
        }
    }

    #[test]
    fn schemas_are_quoted_where_they_must_be() {
        assert_eq!(in_schema("label_studio.task", "public"), "public.task");
        assert_eq!(in_schema("label_studio.task", "Label \"S\""), r#""Label ""S""".task"#);
        assert_eq!(
            triggers("public")[0].definition(),
            "create trigger lshookd_annotation_delete after delete on public.task_completion referencing old table as \
             removed for each statement execute function lshookd.capture_annotation_delete()"
        );
    }
}

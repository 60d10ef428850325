//! One row's JSON, field by field, in the form of Label Studio's serializers.

use std::borrow::Cow;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::label_studio::catalog::Shape;

/// Label Studio's name for the one field of a text import (`DATA_UNDEFINED_NAME`).
const UNDEFINED: &str = "$undefined$";

/// The fields of one object, in order, their values as JSON text: where they stand in the row, unless they
/// were fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Takes a JSON object apart; its values stay text.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(json: &'a str) -> Result<Fields<'a>> {
        let object: RawObject = serde_json::from_str(json).context("PostgreSQL wrote a row that is no JSON object")?;
        Ok(Fields(object.0))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Gives a field that is null another value.
    pub fn fill(&mut self, name: &str, value: i64) {
        if let Some((_, null)) = self.0.iter_mut().find(|(field, value)| field == name && value == "null") {
            *null = value.to_string().into();
        }
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned().into(), value.into()));
    }

    /// Adds fields.
    pub fn extend(&mut self, fields: impl IntoIterator<Item = Vec<(String, String)>>) {
        self.0.extend(fields.into_iter().flatten().map(|(name, value)| (name.into(), value.into())));
    }

    /// Gives moments and references the form of a Django REST Framework serializer.
    pub fn serialize_as(&mut self, shape: &Shape) {
        if !shape.foreign.is_empty() {
            self.0.retain(|(name, _)| !shape.foreign.contains(&**name));
        }
        for (name, value) in &mut self.0 {
            if shape.moments.contains(&**name) {
                if let Some(moment) = moment(value) {
                    *value = moment.into();
                }
            } else if shape.floats.contains(&**name)
                && let Some(float) = float(value)
            {
                *value = float.into();
            }
            let field = field(name, Some(shape));
            if field.len() < name.len() {
                *name = field.to_owned().into();
            }
        }
    }

    /// Renames the key `$undefined$` in the object that a field holds.
    ///
    /// # Errors
    /// Never for what PostgreSQL wrote.
    pub fn rename_undefined(&mut self, field: &str, key: &str) -> Result<()> {
        let Some((_, value)) = self.0.iter_mut().find(|(name, value)| name == field && value.contains(UNDEFINED))
        else {
            return Ok(());
        };
        if !value.starts_with('{') {
            return Ok(());
        }
        let mut object = Fields::parse(value)?;
        if let Some(place) = object.0.iter().position(|(name, _)| name == UNDEFINED) {
            let (_, undefined) = object.0.remove(place);
            object.0.retain(|(name, _)| name != key);
            object.0.push((key.into(), undefined));
            *value = object.to_json().into();
        }
        Ok(())
    }

    /// Puts the object together.
    pub fn to_json(&self) -> String {
        let length = self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 2;
        let mut text = String::with_capacity(length);
        text.push('{');
        for (name, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            push_name(&mut text, name);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

/// The name of the field that a column becomes.
pub fn field<'a>(column: &'a str, shape: Option<&Shape>) -> &'a str {
    let is_reference = shape.is_some_and(|shape| shape.references.contains(column));
    column.strip_suffix("_id").filter(|_| is_reference).unwrap_or(column)
}

/// Writes a name as JSON has it; nearly none needs more than its quotes.
fn push_name(text: &mut String, name: &str) {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        text.push('"');
        text.push_str(name);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(name).to_string());
    }
}

/// A number as Python's `json` writes a float: the shortest digits that stand for it, with a point or an exponent, and
/// the exponent from 1e16 on and below 0.0001 (`float.__repr__`). What is no number in JSON, such as infinity, is null;
/// `None` for null itself.
fn float(json: &str) -> Option<String> {
    if json == "null" {
        return None;
    }
    let number: f64 = json.trim_matches('"').parse().ok()?;
    if !number.is_finite() {
        return Some("null".to_owned());
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if number == 0.0 || (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return Some(if plain.contains('.') { plain } else { format!("{plain}.0") });
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.abs()))
}

/// A moment as Django REST Framework writes it: ISO 8601 in UTC with `Z`, and six digits of
/// microseconds unless they are zero (`DateTimeField.to_representation`). What Python has no moment for, such as
/// infinity or a year before 1 or after 9999, is null; `None` for null itself.
fn moment(json: &str) -> Option<String> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(python_moment(text).unwrap_or_else(|| "null".to_owned()))
}

fn python_moment(text: &str) -> Option<String> {
    let moment: DateTime = match text.strip_suffix("+00:00") {
        Some(utc) => utc.parse().ok()?,
        // The image of a deleted row was written in the time zone of whoever deleted it.
        None => text.parse::<Timestamp>().ok()?.to_zoned(TimeZone::UTC).datetime(),
    };
    if !(1..=9999).contains(&moment.year()) {
        return None;
    }
    let digits = if moment.subsec_nanosecond() == 0 { 0 } else { 6 };
    let text = DateTimePrinter::new().precision(Some(digits)).datetime_to_string(&moment);
    Some(format!("\"{text}Z\""))
}

/// A JSON list of numbers.
pub fn numbers<'a>(ids: impl IntoIterator<Item = &'a i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(i64::to_string).collect();
    format!("[{}]", ids.join(","))
}

/// The first key of a JSON object.
pub fn first_key(json: &str) -> Option<String> {
    json.starts_with('{')
        .then(|| Fields::parse(json).ok()?.0.into_iter().next().map(|(name, _)| name.into_owned()))
        .flatten()
}

/// A JSON object whose values are kept as they are written.
struct RawObject<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// The name of a member, which is copied only where it is written with escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for RawObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'de>, A::Error> {
                let mut members = Vec::with_capacity(32);
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name.0, value.get().into()));
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_have_six_digits_or_none() {
        let of = |text: &str| moment(&format!("\"{text}\""));
        assert_eq!(of("2026-11-23T08:23:09.5+00:00").unwrap(), "\"2026-11-23T08:23:09.500000Z\"");
        assert_eq!(of("2026-11-23T08:23:09+00:00").unwrap(), "\"2026-11-23T08:23:09Z\"");
        assert_eq!(of("0001-01-01T00:00:00+00:00").unwrap(), "\"0001-01-01T00:00:00Z\"");
        assert_eq!(of("9999-12-31T23:59:59.999999+00:00").unwrap(), "\"9999-12-31T23:59:59.999999Z\"");
        assert_eq!(of("2026-11-23T10:23:09.5+02:00").unwrap(), "\"2026-11-23T08:23:09.500000Z\"");
        for no_moment in ["infinity", "-infinity", "0044-03-15T00:00:00+00:00 BC", "12000-01-01T00:00:00+00:00"] {
            assert_eq!(of(no_moment).unwrap(), "null", "{no_moment}");
        }
        assert_eq!(moment("null"), None);
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (postgresql, python) in [
            ("2", "2.0"),
            ("-0", "-0.0"),
            ("0", "0.0"),
            ("2.5", "2.5"),
            ("1e+15", "1000000000000000.0"),
            ("1e+16", "1e+16"),
            ("1.2345678901234568e+17", "1.2345678901234568e+17"),
            ("0.0001", "0.0001"),
            ("1e-05", "1e-05"),
            ("1.5e-300", "1.5e-300"),
            ("1.7976931348623157e+308", "1.7976931348623157e+308"),
            ("\"NaN\"", "null"),
            ("\"-Infinity\"", "null"),
        ] {
            assert_eq!(float(postgresql).unwrap(), python, "{postgresql}");
        }
        assert_eq!(float("null"), None);
    }

    /// Against Python itself, which is there wherever Label Studio is.
    #[test]
    fn any_float_is_written_as_python_writes_it() {
        use proptest::strategy::{Strategy as _, ValueTree as _};
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let any = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
        let spread = prop_oneof![
            any,
            (-40..40i32, 1..99_999u32).prop_map(|(exponent, digits)| f64::from(digits) * 10f64.powi(exponent))
        ];
        let numbers: Vec<f64> = (0..5000).map(|_| spread.new_tree(&mut runner).unwrap().current()).collect();
        let bits: Vec<String> = numbers.iter().map(|number| number.to_bits().to_string()).collect();
        let script = "import json, struct, sys\nfor bits in sys.argv[1].split(): \
                      print(json.dumps(struct.unpack('<d', struct.pack('<Q', int(bits)))[0]))";
        let python = std::process::Command::new("python3").args(["-c", script, &bits.join(" ")]).output().unwrap();
        let python = String::from_utf8(python.stdout).unwrap();
        assert_eq!(python.lines().count(), numbers.len());
        for (number, python) in numbers.iter().zip(python.lines()) {
            // PostgreSQL writes the same digits, in one form or the other.
            for written in [format!("{number}"), format!("{number:e}")] {
                assert_eq!(float(&written).unwrap(), python);
            }
        }
    }

    #[test]
    fn a_row_takes_the_form_of_label_studios_serializers() {
        let mut fields =
            Fields::parse(r#"{"id":1,"project_id":2,"import_id":3,"created_at":"2026-11-23T08:23:09+00:00","data":{"created_at":"x"}}"#).unwrap();
        let shape = Shape {
            moments: ["created_at".to_owned()].into(),
            references: ["project_id".to_owned()].into(),
            ..Shape::default()
        };
        fields.serialize_as(&shape);
        let expected =
            r#"{"id":1,"project":2,"import_id":3,"created_at":"2026-11-23T08:23:09Z","data":{"created_at":"x"}}"#;
        assert_eq!(fields.to_json(), expected);
    }

    #[test]
    fn numbers_and_text_pass_unchanged() {
        let json = r#"{"a":123456789012345678901234567890,"b":1.10,"c":"\u00e9\u2028é","d":[1e2,null]}"#;
        assert_eq!(Fields::parse(json).unwrap().to_json(), json);
    }

    #[test]
    fn undefined_is_renamed_in_the_data_alone() {
        let renamed = |data: &str| {
            let json = format!(r#"{{"data":{data}}}"#);
            let mut fields = Fields::parse(&json).unwrap();
            fields.rename_undefined("data", "text").unwrap();
            fields.to_json()
        };
        assert_eq!(renamed(r#"{"$undefined$":"x","n":1}"#), r#"{"data":{"n":1,"text":"x"}}"#);
        assert_eq!(renamed(r#"{"text":"old","$undefined$":"x"}"#), r#"{"data":{"text":"x"}}"#);
        assert_eq!(renamed(r#"{"n":{"$undefined$":1}}"#), r#"{"data":{"n":{"$undefined$":1}}}"#);
        assert_eq!(renamed(r#"["$undefined$"]"#), r#"{"data":["$undefined$"]}"#);
    }

    proptest! {
        #[test]
        fn taking_apart_and_putting_together_loses_nothing(
            members in prop::collection::vec((any::<String>(), any::<(i64, f64, String)>()), 0..8),
        ) {
            let value: serde_json::Map<String, serde_json::Value> = members
                .into_iter()
                .map(|(name, (integer, float, text))| (name, serde_json::json!([integer, float, text, null])))
                .collect();
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(Fields::parse(&json).unwrap().to_json(), json);
        }

        #[test]
        fn every_microsecond_that_postgresql_writes_is_kept(micros in -62_135_596_800_000_000i64..253_402_207_200_000_000) {
            let timestamp = jiff::Timestamp::from_microsecond(micros).unwrap();
            let written = format!("\"{}\"", timestamp.to_string().replace('Z', "+00:00"));
            let ours = moment(&written).unwrap();
            let back: jiff::Timestamp = ours.trim_matches('"').parse().unwrap();
            prop_assert_eq!(back, timestamp);
        }
    }
}

//! One row's JSON, field by field, in the form of Label Studio's serializers.

use std::borrow::Cow;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::catalog::Shape;

/// Label Studio's name for the one field of a text import (`DATA_UNDEFINED_NAME`).
const UNDEFINED: &str = "$undefined$";

/// The fields of one object, in order, their values as JSON text: where they stand in the row, unless they
/// were mended.
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
        for (name, value) in &mut self.0 {
            if shape.moments.contains(&**name)
                && let Some(moment) = moment(value)
            {
                *value = moment.into();
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

/// A moment as Django REST Framework writes it: ISO 8601 in UTC with `Z`, and six digits of
/// microseconds unless they are zero (`DateTimeField.to_representation`). `None` for null and
/// for what is no moment, such as infinity.
fn moment(json: &str) -> Option<String> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    let moment: DateTime = match text.strip_suffix("+00:00") {
        Some(utc) => utc.parse().ok()?,
        // The image of a deleted row was written in the time zone of whoever deleted it.
        None => text.parse::<Timestamp>().ok()?.to_zoned(TimeZone::UTC).datetime(),
    };
    let digits = if moment.subsec_nanosecond() == 0 { 0 } else { 6 };
    let text = DateTimePrinter::new().precision(Some(digits)).datetime_to_string(&moment);
    Some(format!("\"{text}Z\""))
}

/// A JSON list of numbers.
pub fn numbers(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
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
        assert_eq!(of("infinity"), None);
        assert_eq!(moment("null"), None);
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

//! Comparing what Label Studio sent with what lshookd sent.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where two JSON values differ, a float from a whole number included, as `path: left != right`. Lists of nothing but
/// `{"id": N}` are sets: Label Studio writes the ids of what it deleted in no order.
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn compare(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(&format!("{path}.{key}"), a, b, found),
                    (Some(_), None) => found.push(format!("{path}.{key}: missing on the right")),
                    (None, _) => found.push(format!("{path}.{key}: missing on the left")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            if let (Some(a), Some(b)) = (bare_ids(a), bare_ids(b)) {
                if a != b {
                    found.push(format!("{path}: {a:?} != {b:?}"));
                }
                return;
            }
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), a, b, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {left} != {right}")),
    }
}

fn bare_ids(items: &[Value]) -> Option<BTreeSet<i64>> {
    items
        .iter()
        .map(|item| item.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("id")?.as_i64()))
        .collect()
}

//! The table of differences in the documents, made of the claims.

use std::collections::BTreeMap;

use crate::scenario::{Claim, ORDER, Table};

/// `docs/differences.md`.
pub fn document(tables: &[Table]) -> String {
    let mut rows: BTreeMap<(&str, Vec<&str>, String), String> = BTreeMap::new();
    let mut early: BTreeMap<&str, String> = BTreeMap::new();
    for scenario in tables.iter().flat_map(|table| &table.scenarios) {
        match scenario.claim {
            Claim::Differs(sent, why) => {
                let key = (why, sent.to_vec(), distinct(scenario.actions));
                append(rows.entry(key).or_default(), scenario.what, "; ");
            }
            Claim::ReadEarly(fields) => {
                for field in fields.iter().filter(|field| **field != ORDER) {
                    append(early.entry(field).or_default(), scenario.what, "; ");
                }
            }
            Claim::SameOrNeither(why) => {
                let key = (why, Vec::new(), "nothing, for nothing happened".to_owned());
                append(rows.entry(key).or_default(), scenario.what, "; ");
            }
            Claim::Same | Claim::Nothing(_) => {}
        }
    }
    let mut text = String::from(INTRODUCTION);
    for ((why, sent, ours), what) in &rows {
        let sent = if sent.is_empty() { "nothing".to_owned() } else { distinct(sent) };
        text += &format!("| {what} | {sent} | {ours} | {why} |\n");
    }
    text += EARLY;
    for (field, what) in &early {
        text += &format!("| `{field}` | {what} |\n");
    }
    text += CLOSING;
    text
}

/// The actions, each once.
fn distinct(actions: &[&str]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in actions.iter().map(|action| format!("`{action}`")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn append(text: &mut String, more: &str, between: &str) {
    if text.split(between).any(|part| part == more) {
        return;
    }
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}

const INTRODUCTION: &str = "\
# Differences from Label Studio's own webhooks

Made from the claims of the scenarios in `tests/label_studio/`, which the tests hold against the real Label Studio; everything else they play is equal, event for event and value for value.

## Other events

Label Studio's column is what the webhook of the project receives.

| what happens | Label Studio sends | lshookd sends | because Label Studio |
| --- | --- | --- | --- |
";

const EARLY: &str = "
## Values that Label Studio reads early

The events are the same. Label Studio takes these values before its own last writes of the same action, lshookd after them.

| field | when one would |
| --- | --- |
";

const CLOSING: &str = "
## Order

Objects deleted in bulk, and tasks that a storage brings: Label Studio lists them in no order, lshookd by ascending ids.

## Older versions

- Label Studio's own default of `WEBHOOK_BATCH_SIZE` is 100 up to 1.20, and 5000 from 1.22; lshookd's is 5000.
- 1.13 sends a `TASKS_DELETED` of no tasks when it finds no duplicates to remove; lshookd sends nothing.
- 1.11 and older remove labeled duplicates with their annotations, so that none moves.
- 1.8 does not announce what a storage brings; lshookd does.

## Values

- Columns that were added to Label Studio's tables, which none of its versions has, are left out, unless the setting `extra_fields` names them.
- Moments and numbers that JSON does not have, such as infinity, are null.

## The request

- `webhook-id`, `webhook-timestamp` and lshookd's own `User-Agent` are added, unless the webhook's headers set the last.
- Where `WEBHOOK_TIMEOUT` is not set, lshookd waits 10 s for the connection and 15 s for the answer, since no annotator waits for it; Label Studio waits 1 s for each.
- A server that offers no TLS but 1.2 with CBC is refused; [compatibility.md](compatibility.md#endpoints) has what comes of servers of every manner.
- `Accept-Encoding` is not sent, and HTTP/2 is spoken where the server offers it.
- An ML backend has 30 minutes to answer, and gets one request at a time; Label Studio hangs up after `WEBHOOK_TIMEOUT`.
- A redirect by 301, 302 or 303 is a failed attempt, unless the setting `redirect_to_get` is on: it leads to a GET without the event, whose answer Label Studio takes.
- A connection that was closed just as it was used again is tried once more at once; the endpoint may see the request twice, with the same `webhook-id`.
- On a redirect to another host the webhook's headers stay behind.
- `HTTP_PROXY` and `HTTPS_PROXY` are used where the setting `proxy` is `environment`, and not otherwise.
";

//! Masking: what nobody may read in an answer or an error.

use url::Url;

use super::message::{Message, is_published};

/// What is shown in place of a secret.
const MASK: &str = "***";
/// Texts that are shorter are in many an answer; masking them would tell more than it hides.
const SHORTEST_SECRET: usize = 6;

/// The secrets of a message: what signs the request and what its headers and its URL say.
pub fn secrets(message: &Message) -> Vec<String> {
    let mut secrets = message.secrets.clone();
    if let serde_json::Value::Object(headers) = &message.headers {
        let is_known = |name: &str| ["content-type", "user-agent", "accept"].contains(&name.to_lowercase().as_str());
        for value in headers.iter().filter(|(name, _)| !is_known(name)).filter_map(|(_, value)| value.as_str()) {
            secrets.push(value.to_owned());
            // "Bearer …", "Token …": the scheme is no secret.
            secrets.extend(value.split_once(' ').map(|(_, credentials)| credentials.to_owned()));
        }
    }
    if let Ok(url) = Url::parse(&message.url) {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        // Of NATS it is a subject, which its errors name.
        let path = if is_published(&message.url) { "" } else { url.path() };
        let parts = [path, url.query().unwrap_or_default(), url.password().unwrap_or_default(), url.username()];
        secrets.extend(parts.iter().flat_map(|part| [(*part).to_owned(), decoded(part)]));
        secrets.extend(path.split('/').filter(|part| part.len() >= 16).map(str::to_owned));
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
    // The longest first: one may hold another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// A text without these secrets.
pub fn mask(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// The beginning of a text.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((place, _)) => format!("{}…", &text[..place]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_repeats_of_our_secrets_is_masked() {
        let secrets = secrets(&Message {
            url: "https://user:swordfish@hooks.example/services/T000/B000/XXXXYYYYZZZZ?token=open-sesame".to_owned(),
            secrets: vec!["whsec_abcdef".to_owned()],
            ..Message::for_test(
                serde_json::json!({"Authorization": "Bearer open-says-me", "Content-Type": "application/json"}),
            )
        });
        let answer = "no open-says-me at /services/T000/B000/XXXXYYYYZZZZ?token=open-sesame for swordfish whsec_abcdef, \
                      application/json";
        let masked = mask(answer, &secrets);
        assert_eq!(masked, "no *** at ***?*** for *** ***, application/json");
        assert_eq!(shortened("ééé", 2), "éé…");
    }
}

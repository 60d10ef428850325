//! URLs as people may see them.

/// A URL without user, password, fragment and the values of its query.
///
/// ```
/// use lshookd::model::masked_url;
///
/// assert_eq!(masked_url("https://user:secret@host/path?token=secret"), "https://host/path?…");
/// ```
pub fn masked_url(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return "(no valid URL)".to_owned();
    };
    // These fail for URLs that cannot have a user at all.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    format!("{url}{}", if query { "?…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_url_holds_no_credentials() {
        assert_eq!(masked_url("https://user:hidden@host/path?token=hidden#hidden"), "https://host/path?…");
        assert_eq!(masked_url("http://host:8080/path"), "http://host:8080/path");
        assert!(!masked_url("user:hidden").contains("hidden") || !masked_url("user:hidden").contains('@'));
    }
}

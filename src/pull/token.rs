//! The token of a webhook that is pulled from: whoever has it may have its events. It is shown once; what is kept is
//! its hash, which needs no salt, for nobody can guess 32 random bytes.

use aws_lc_rs::{constant_time, digest};
use data_encoding::BASE64URL_NOPAD;

/// Tells what it is where it is found by chance.
const PREFIX: &str = "lshp_";

/// A token.
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn new() -> Token {
        let bytes: [u8; 32] = rand::random();
        Token(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)))
    }

    /// Its text, for whoever is to have it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> Vec<u8> {
        hash(&self.0)
    }
}

impl Default for Token {
    fn default() -> Token {
        Token::new()
    }
}

fn hash(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Whether a text is the token of which this was kept; takes as long whatever differs. None was kept of one that was
/// revoked.
pub fn is_token(text: &str, kept: Option<&[u8]>) -> bool {
    let hash = hash(text);
    constant_time::verify_slices_are_equal(&hash, kept.unwrap_or(&[0; 32])).is_ok() && kept.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_opens() {
        let (token, other) = (Token::new(), Token::new());
        let kept = token.hash();
        assert!(is_token(token.text(), Some(&kept)));
        assert!(!is_token(other.text(), Some(&kept)));
        assert!(!is_token(&token.text()[..20], Some(&kept)));
        assert!(!is_token("", Some(&kept)) && !is_token(token.text(), None));
        assert!(token.text().starts_with("lshp_") && token.text().len() > 40);
    }
}

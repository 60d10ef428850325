//! Passwords of the console, as they are configured or hashed by Argon2 (RFC 9106). Promises that a wrong password takes
//! as long as a right one, and that trying them holds up nothing else.

use anyhow::{Result, anyhow};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::config::Password;

/// The hash of a password as a setting takes it: a PHC string, salted at random.
///
/// # Errors
/// When there is no randomness to be had.
pub fn hash(password: &str) -> Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    Ok(hashed.map_err(|error| anyhow!("hashing the password: {error}"))?.to_string())
}

/// Whether this is the password. That takes some 20 ms and 19 MiB where it is hashed.
pub async fn is_right(password: &Password, given: &str) -> bool {
    match password {
        Password::Plain(password) => is_same(password, given),
        Password::Hashed(hash) => {
            let (hash, given) = (hash.clone(), given.to_owned());
            tokio::task::spawn_blocking(move || verify(&hash, &given)).await.unwrap_or_default()
        }
    }
}

fn verify(hash: &str, given: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(given.as_bytes(), &hash).is_ok())
}

/// Whether two texts are the same, which takes as long whatever differs.
pub fn is_same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_as_it_is_and_hashed() {
        for password in [Password::Plain("sesame".to_owned()), Password::Hashed(hash("sesame").unwrap())] {
            assert!(is_right(&password, "sesame").await);
            for wrong in ["", "sesam", "sesame ", "Sesame"] {
                assert!(!is_right(&password, wrong).await, "{wrong:?}");
            }
        }
        assert_ne!(hash("sesame").unwrap(), hash("sesame").unwrap(), "it is salted");
    }
}

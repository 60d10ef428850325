//! Sessions of people who logged in. They are in memory alone, so that a restart ends them, and of each only the hash of
//! what its cookie holds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};
use rand::RngExt;

use super::access::Viewer;

/// A session ends when nobody used it for so long,
const IDLE: Duration = Duration::from_secs(3600);
/// and at the latest after so long.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// So many there may be; the one that was not used for the longest time makes room.
const MAXIMUM: usize = 1000;

/// The cookie's name.
const COOKIE: &str = "lshookd_session";

struct Session {
    viewer: Viewer,
    began: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) > IDLE || now.saturating_duration_since(self.began) > LONGEST
    }
}

/// The sessions.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Vec<u8>, Session>>);

impl Sessions {
    /// Begins one; what its `Set-Cookie` header says.
    pub fn begin(&self, viewer: Viewer, is_secure: bool) -> String {
        // Others may log in by the same name.
        let viewer = Viewer { token: format!("{:032x}", rand::rng().random::<u128>()), ..viewer };
        let id = format!("{:032x}{:032x}", rand::rng().random::<u128>(), rand::rng().random::<u128>());
        let now = Instant::now();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| !session.is_over(now));
        if sessions.len() >= MAXIMUM
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| key.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(key(&id), Session { viewer, began: now, used: now });
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", LONGEST.as_secs())
    }

    /// Whose session a request is of.
    pub fn of(&self, headers: &HeaderMap, now: Instant) -> Option<Viewer> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&key(&cookie(headers)?))?;
        if session.is_over(now) {
            return None;
        }
        session.used = now;
        Some(session.viewer.clone())
    }

    /// Ends the session that a request is of; what its `Set-Cookie` header says.
    pub fn end(&self, headers: &HeaderMap) -> String {
        if let Some(id) = cookie(headers) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(&id));
        }
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }
}

fn key(id: &str) -> Vec<u8> {
    digest(&SHA256, id.as_bytes()).as_ref().to_vec()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, format!("other=1; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_session_ends_by_itself_or_when_it_is_ended() {
        let sessions = Sessions::default();
        let owl = Viewer { name: "owl".to_owned(), may_write: true, token: String::new() };
        let cookie = sessions.begin(owl, false);
        let (headers, now) = (sent(&cookie), Instant::now());
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"));
        let owl = sessions.of(&headers, now).unwrap();
        assert!(owl.name == "owl" && owl.may_write && owl.token.len() == 32);
        assert_eq!(sessions.of(&sent("lshookd_session=guessed"), now), None);
        assert_eq!(sessions.of(&headers, now + IDLE + Duration::from_secs(1)), None);
        let mut at = now;
        while at < now + LONGEST {
            assert_eq!(sessions.of(&headers, at), Some(owl.clone()));
            at += IDLE / 2;
        }
        assert_eq!(sessions.of(&headers, at + Duration::from_secs(1)), None);
        let again = sent(&sessions.begin(owl.clone(), true));
        assert_ne!(sessions.of(&again, Instant::now()).unwrap().token, owl.token);
        sessions.end(&again);
        assert_eq!(sessions.of(&again, Instant::now()), None);
    }
}

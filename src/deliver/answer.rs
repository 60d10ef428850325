//! What came of a request; and the head of an answer that is not quite HTTP, read as far as it can be.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::route::Route;

/// What came of a request.
#[derive(Debug)]
pub struct Answer {
    /// When it began, by our clock.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The last answer's status, if there was an answer.
    pub status: Option<StatusCode>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub head: Option<String>,
    /// How long the endpoint asks us to stay away.
    pub retry_after: Option<Duration>,
    /// The connection that it went over, if there was one.
    pub route: Option<Route>,
}

impl Answer {
    /// Of a request that begins now.
    pub fn pending() -> Answer {
        Answer {
            started_at: SystemTime::now(),
            duration: Duration::ZERO,
            status: None,
            error: None,
            head: None,
            retry_after: None,
            route: None,
        }
    }
}

/// The status and the headers of an answer whose head has lines that no HTTP knows: those are passed over, as by
/// python-requests. `None` where there is no status line. Also what of the body was heard.
///
/// ```
/// use lshookd::deliver::read_leniently;
///
/// let (status, headers, body) = read_leniently(b"HTTP/1.1 200 OK\r\nX Y: 1\r\nRetry-After : 2\r\n\r\nok").unwrap();
/// assert_eq!((status.as_u16(), headers["retry-after"].as_bytes(), body), (200, &b"2"[..], &b"ok"[..]));
/// assert!(read_leniently(b"ICY 200 OK\r\n\r\n").is_none());
/// ```
pub fn read_leniently(mut heard: &[u8]) -> Option<(StatusCode, HeaderMap, &[u8])> {
    loop {
        let (line, mut rest) = next_line(heard)?;
        let status = status_of(line)?;
        let mut headers = HeaderMap::new();
        while let Some((line, after)) = next_line(rest) {
            rest = after;
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let name = HeaderName::from_bytes(name.trim_ascii());
            let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                let _ = headers.try_append(name, value);
            }
        }
        // Interim answers come before the one that counts (RFC 9110, 15.2).
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            heard = rest;
            continue;
        }
        return Some((status, headers, rest));
    }
}

/// A line that is whole, without its end.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..)?))
}

fn status_of(line: &[u8]) -> Option<StatusCode> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let mut words = rest.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let _minor_version = words.next()?;
    StatusCode::from_bytes(words.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_with_faults_is_read_as_python_requests_reads_it() {
        let status = |heard: &str| read_leniently(heard.as_bytes()).map(|(status, ..)| status.as_u16());
        assert_eq!(status("HTTP/1.1 200 OK\r\nno colon\r\nX-\u{1}: a\r\nFolded: a\r\n b\r\n\r\n"), Some(200));
        assert_eq!(status("HTTP/1.1 410 Gone\r\nContent-Length: many\r\n\r\n"), Some(410));
        assert_eq!(status("HTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 204\n\n"), Some(204));
        assert_eq!(status("HTTP/1.1 200 OK\r\nunfinished"), Some(200));
        assert_eq!(status("HTTP/1.1 200"), None);
        assert_eq!(status("HTTP/1.1 20x OK\r\n\r\n"), None);
        assert_eq!(status("HTTP/3 200 OK\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(heard: Vec<u8>, after: Vec<u8>) {
            let _ = read_leniently(&heard);
            let _ = read_leniently(&[b"HTTP/1.1 200 OK\r\n".to_vec(), after].concat());
        }
    }
}

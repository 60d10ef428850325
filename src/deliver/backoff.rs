//! Backoff: when a delivery that failed is retried.

use std::time::{Duration, SystemTime};

use rand::RngExt;

/// An endpoint may ask us to stay away, but not for longer than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Pauses are drawn from this range around the scheduled one, so that endpoints which failed
/// together are not retried together.
const JITTER: std::ops::Range<f64> = 0.9..1.1;

/// The pause after `attempts` attempts (at least one) have failed, or `None` after the last. An endpoint's `Retry-After`
/// makes it longer, up to a day.
///
/// ```
/// use std::time::Duration;
/// use lshookd::deliver::backoff::pause;
///
/// let schedule = [Duration::from_secs(5), Duration::from_secs(30)];
/// let first = pause(&schedule, 1, None).unwrap();
/// assert!(first > Duration::from_secs(4) && first < Duration::from_secs(6));
/// assert_eq!(pause(&schedule, 1, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
/// assert_eq!(pause(&schedule, 3, None), None);
/// ```
pub fn pause(schedule: &[Duration], attempts: usize, retry_after: Option<Duration>) -> Option<Duration> {
    let scheduled = schedule.get(attempts.saturating_sub(1))?;
    let pause = scheduled.mul_f64(rand::rng().random_range(JITTER));
    Some(pause.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)))
}

/// `Retry-After` in either form: seconds or a date (RFC 9110, section 10.2.3).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use lshookd::deliver::backoff::retry_after;
///
/// assert_eq!(retry_after("120", SystemTime::now()), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("soon", SystemTime::now()), None);
/// ```
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(header.trim()).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

    #[test]
    fn each_failure_takes_the_next_pause_and_the_last_none() {
        for (attempts, seconds) in [(1, 5.0), (2, 30.0)] {
            let pause = pause(&SCHEDULE, attempts, None).unwrap().as_secs_f64();
            assert!((seconds * 0.9..=seconds * 1.1).contains(&pause), "{pause}");
        }
        assert_eq!(pause(&SCHEDULE, 3, None), None);
        assert_eq!(pause(&[], 1, None), None);
    }

    #[test]
    fn retry_after_lengthens_a_pause_and_never_shortens_it() {
        let minute = Duration::from_secs(60);
        assert_eq!(pause(&SCHEDULE, 1, Some(minute)), Some(minute));
        assert!(pause(&SCHEDULE, 2, Some(Duration::from_secs(1))).unwrap() > Duration::from_secs(26));
        assert_eq!(pause(&SCHEDULE, 1, Some(Duration::MAX)), Some(LONGEST_RETRY_AFTER));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_wait_for_ever(header in ".{0,40}|[0-9]{1,30}", attempts: usize, wait: u64) {
            let asked = retry_after(&header, SystemTime::now()).or(Some(Duration::from_secs(wait)));
            if let Some(pause) = pause(&SCHEDULE, attempts, asked) {
                prop_assert!(pause <= LONGEST_RETRY_AFTER);
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now), None);
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}

//! Numbers and times as people read them: rounded, with the exact one where one points at it.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::admin::board::BOUND;

/// A number with separators: `1,234,567`.
pub fn number(quantity: i64) -> String {
    let digits = quantity.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if quantity < 0 { format!("-{text}") } else { text }
}

/// A number that was counted up to the bound: `10,000+` beyond it.
pub fn counted(quantity: i64) -> String {
    sum((quantity.min(BOUND), quantity > BOUND))
}

/// A sum, and whether a part of it was counted up to the bound.
pub fn sum((sum, is_bounded): (i64, bool)) -> String {
    format!("{}{}", number(sum), if is_bounded { "+" } else { "" })
}

/// `1 delivery`, `2 deliveries`.
pub fn plural(quantity: i64, one: &str, several: &str) -> String {
    format!("{} {}", number(quantity), if quantity == 1 { one } else { several })
}

/// A duration by its two largest units: `350ms`, `12s`, `6h 57m`.
///
/// Under a second to the millisecond, above without what is too small to matter.
pub fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let rounded = match seconds {
        0 => return format!("{} ms", duration.as_millis()),
        1..60 => seconds,
        60..3600 => seconds,
        3600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3600,
    };
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

/// Milliseconds, as [`lasting`].
pub fn milliseconds(duration: i64) -> String {
    lasting(Duration::from_millis(u64::try_from(duration).unwrap_or(0)))
}

/// Seconds, as [`lasting`].
pub fn seconds(duration: f64) -> String {
    lasting(Duration::try_from_secs_f64(duration).unwrap_or_default())
}

/// A size: `512 bytes`, `3.1 kB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A moment in full, in UTC.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago a moment was, or how far off it is; in full where one points at it.
pub fn ago(at: Timestamp) -> Markup {
    html! { time datetime=(at) title=(moment(at)) { (relative(at, Timestamp::now())) } }
}

fn relative(at: Timestamp, now: Timestamp) -> String {
    let apart = now.duration_since(at);
    let text = match apart.unsigned_abs() {
        apart if apart < Duration::from_secs(1) => return "now".to_owned(),
        apart if apart < Duration::from_secs(3600) => lasting(Duration::from_secs(match apart.as_secs() {
            seconds @ 0..60 => seconds,
            seconds => seconds - seconds % 60,
        })),
        apart if apart < Duration::from_secs(86_400) => lasting(Duration::from_secs(apart.as_secs() / 60 * 60)),
        apart => lasting(apart),
    };
    if apart.is_negative() { format!("in {text}") } else { format!("{text} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_once() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1234567), "1,234,567");
        assert_eq!(number(-1000), "-1,000");
        assert_eq!(counted(BOUND + 1), "10,000+");
        assert_eq!(counted(BOUND), "10,000");
        assert_eq!(size(3_100), "3.1 kB");
        assert_eq!(plural(1, "event", "events"), "1 event");
    }

    #[test]
    fn times_are_rounded() {
        assert_eq!(seconds(25_033.3), "6h 57m");
        assert_eq!(seconds(0.35), "350 ms");
        assert_eq!(seconds(61.2), "1m 1s");
        assert_eq!(seconds(f64::NAN), "0 ms");
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (at, text) in [
            ("2026-11-29T12:00:00Z", "now"),
            ("2026-11-29T11:59:15Z", "45s ago"),
            ("2026-11-29T11:02:15Z", "57m ago"),
            ("2026-11-29T05:02:50Z", "6h 57m ago"),
            ("2026-11-26T11:00:00Z", "3days 1h ago"),
            ("2026-11-29T12:05:30Z", "in 5m"),
        ] {
            assert_eq!(relative(at.parse().unwrap(), now), text);
        }
    }
}

//! Times of the command line: RFC 3339, dates, and so long ago.

use amida::{Clock, SystemClock};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Nanoseconds since the epoch. Without a zone a time is UTC; a date is its first moment.
///
/// # Errors
/// Words on what is expected.
pub fn parse(text: &str) -> Result<i64, String> {
    parse_at(text.trim(), SystemClock.now_ns()).ok_or_else(|| {
        "expected a time like 2026-01-02T03:04:05Z, a date like 2026-01-02, or 90s, 15m, 1h, 2d, \
         1w for so long ago; between 1970 and 2262"
            .to_owned()
    })
}

fn parse_at(text: &str, now_ns: i64) -> Option<i64> {
    let ns = match ago(text) {
        Some(ns) => now_ns.checked_sub(ns)?,
        None => instant(text)?.timestamp_nanos_opt()?,
    };
    (ns >= 0).then_some(ns)
}

fn instant(text: &str) -> Option<DateTime<chrono::Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let formats =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    time.or_else(date).map(|time| time.and_utc())
}

/// Nanoseconds of `15m` or `15m ago`.
fn ago(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" ago").unwrap_or(text);
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(seconds)?.checked_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_spans_of_time_are_read() {
        let now = 1_767_323_045_000_000_000; // 2026-01-02T03:04:05Z
        let second = 1_000_000_000;
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", now),
            ("2026-01-02T05:04:05.5+02:00", now + second / 2),
            ("2026-01-02T03:04:05", now),
            ("2026-01-02 03:04:05", now),
            ("2026-01-02T03:04", now - 5 * second),
            ("2026-01-02", now - (3 * 3600 + 4 * 60 + 5) * second),
            ("90s", now - 90 * second),
            ("1h", now - 3600 * second),
            ("2d ago", now - 2 * 86_400 * second),
        ] {
            assert_eq!(parse_at(text, now), Some(expected), "{text}");
        }
        for text in
            ["", "h", "-1h", "+1h", "1y", "yesterday", "1969-01-01", "3000-01-01", "2026-13-01"]
        {
            assert_eq!(parse_at(text, now), None, "{text}");
        }
        assert!(parse("soon").unwrap_err().contains("2026-01-02T03:04:05Z"));
    }
}

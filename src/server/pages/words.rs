//! Numbers and times as people read them.

pub(crate) use crate::confidence::{burn, percent};
use crate::model::{Millis, Timestamp};

/// A value in at most six digits.
pub(crate) fn number(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "−Inf" }.to_owned();
    }
    let size = v.abs();
    if v == 0.0 {
        return "0".to_owned();
    }
    for (unit, from) in [("T", 1e12), ("G", 1e9), ("M", 1e6)] {
        if size >= from && size < 1e15 {
            return format!("{} {unit}", trim(&format!("{:.2}", v / from)));
        }
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{v:.3e}");
    }
    let whole = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from((6 - whole).clamp(0, 6)).unwrap_or(0);
    trim(&format!("{v:.decimals$}")).to_owned()
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// How long ago, in one unit: `12 s ago`.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let span = now - then;
    match span.0 {
        ..0 => format!("in {}", rough(-span)),
        0..1000 => "just now".to_owned(),
        _ => format!("{} ago", rough(span)),
    }
}

/// A span in its largest unit, rounded.
pub(crate) fn rough(span: Millis) -> String {
    let rounded = |seconds: i64| (span.0 + seconds * 500) / (seconds * 1000);
    match span.0 / 1000 {
        0..120 => format!("{} s", rounded(1)),
        120..7200 => format!("{} min", rounded(60)),
        7200..172_800 => format!("{} h", rounded(3600)),
        _ => format!("{} days", rounded(86_400)),
    }
}

/// `14:03:22`, in UTC.
pub(super) fn clock(t: Timestamp) -> String {
    t.to_string().get(11..19).unwrap_or("").to_owned()
}

/// An instant as briefly as it is clear: the time of today, else the day too.
pub(crate) fn stamp(now: Timestamp, t: Timestamp) -> String {
    let text = t.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or("").to_owned();
    match (now.to_string().get(..10) == text.get(..10), (now - t).0.abs() < 300 * 86_400_000) {
        (true, _) => part(11..19),
        (false, true) => format!("{} {}", part(5..10), part(11..16)),
        (false, false) => part(0..10),
    }
}

/// A count of bytes, `46.1 kB`.
pub(crate) fn bytes(count: u64) -> String {
    let count = count as f64;
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count / size),
        None => format!("{count:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short() {
        let check = |v: f64, expected: &str| assert_eq!(number(v), expected);
        check(0.0, "0");
        check(1.0, "1");
        check(0.123_456_789, "0.123457");
        check(1234.5678, "1234.57");
        check(16_700_000_000.0, "16.7 G");
        check(1e-9, "1.000e-9");
        check(f64::NEG_INFINITY, "−Inf");
    }

    #[test]
    fn instants_of_another_day_say_so() {
        let now = Timestamp(1_780_304_400_000);
        assert_eq!(stamp(now, now - Millis::minutes(5)), "08:55:00");
        assert_eq!(stamp(now, now - Millis::days(1)), "05-31 09:00");
        assert_eq!(stamp(now, now - Millis::days(400)), "2025-04-27");
        assert_eq!((bytes(512), bytes(47_082)), ("512 B".to_owned(), "47.1 kB".to_owned()));
    }

    #[test]
    fn spans_are_in_one_unit() {
        assert_eq!(ago(Timestamp(60_000), Timestamp(48_000)), "12 s ago");
        assert_eq!(ago(Timestamp(0), Timestamp(300_000)), "in 5 min");
        assert_eq!(ago(Timestamp(900), Timestamp(0)), "just now");
        assert_eq!(rough(Millis::days(3)), "3 days");
    }
}

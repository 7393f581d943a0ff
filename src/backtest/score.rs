//! How good alerts were: whom they interrupted, and whether they told of what was wrong.
//!
//! Invariants:
//! - A share comes with how many it rests on and an interval; of nothing there is no share.

use jiff::tz::TimeZone;

use crate::model::{Labels, Millis, TimeRange, Timestamp};
use crate::stats::{binomial_lower, binomial_upper, wilson};

use super::spans::Span;

/// When a page comes, in the time zone of the person whom it interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interruption {
    /// Monday to Friday, 08 to 18.
    Business,
    /// 18 to 22, and weekends.
    Off,
    /// 22 to 08.
    Sleep,
}

/// A place in a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Days since Monday.
    pub weekday: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
}

impl LocalTime {
    /// The place of an instant in the week of a time zone.
    pub fn of(t: Timestamp, zone: &TimeZone) -> LocalTime {
        let zoned = jiff::Timestamp::from_millisecond(t.0).unwrap_or_default().to_zoned(zone.clone());
        let weekday = u8::try_from(zoned.weekday().to_monday_zero_offset()).unwrap_or(0);
        LocalTime { weekday, hour: u8::try_from(zoned.hour()).unwrap_or(0) }
    }
}

impl Interruption {
    /// Every class.
    pub const ALL: [Interruption; 3] = [Interruption::Business, Interruption::Off, Interruption::Sleep];

    /// The class of a time.
    pub fn of(local: LocalTime) -> Interruption {
        match local.hour {
            22.. | ..8 => Interruption::Sleep,
            8..18 if local.weekday < 5 => Interruption::Business,
            _ => Interruption::Off,
        }
    }

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Interruption::Business => "business",
            Interruption::Off => "off",
            Interruption::Sleep => "sleep",
        }
    }
}

/// Something that was wrong, as people or objectives know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
    /// What it was about: an alert that has other values of these labels is about something else.
    pub labels: Labels,
    /// What people call it; may be empty.
    pub name: String,
}

impl Episode {
    /// Whether an alert that fired then may have told of it.
    pub fn is_told_by(&self, span: &Span, range: TimeRange) -> bool {
        let about_it = |name: &str, value: &str| {
            let found = span.labels.get(name);
            found.is_empty() || found == value
        };
        span.start <= self.end
            && span.until(range) >= self.start
            && self.labels.iter().all(|label| about_it(label.name, label.value))
    }
}

/// A share of things, with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many are so.
    pub k: usize,
    /// Of how many.
    pub n: usize,
}

impl Share {
    /// The share; none of nothing.
    pub fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.k as f64 / self.n as f64)
    }

    /// Between which bounds it lies with 95 % confidence, by the exact binomial distribution (Clopper and Pearson).
    pub fn exact(self) -> Option<(f64, f64)> {
        let (k, n) = (self.k as f64, self.n as f64);
        (self.n > 0).then(|| (binomial_lower(k, n, 0.975), binomial_upper(k, n, 0.975)))
    }

    /// Between which bounds it lies with 95 % confidence (Wilson).
    pub fn interval(self) -> Option<(f64, f64)> {
        let interval = wilson(self.k as f64, self.n as f64, 0.95);
        (self.n > 0).then_some((interval.low, interval.high))
    }
}

/// How well pages told of episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Pages that told of an episode, of all pages.
    pub precision: Share,
    /// Episodes that a page told of, of all episodes.
    pub recall: Share,
    /// Of each episode how long after its beginning the first page came; none if none did.
    pub detection: Vec<Option<Millis>>,
}

impl Accuracy {
    /// The time below which so great a share of detections lies; none if nothing was detected.
    pub fn detection_quantile(&self, q: f64) -> Option<Millis> {
        let mut times: Vec<Millis> = self.detection.iter().flatten().copied().collect();
        times.sort_unstable();
        let rank = (q * times.len() as f64).ceil().max(1.0) as usize;
        times.get(rank - 1).copied()
    }
}

/// What a set of rules would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Times in which alerts fired.
    pub alerts: usize,
    /// Those of them that began in the range and page somebody, by class.
    pub pages: [usize; 3],
    /// How long alerts fired, all together.
    pub firing: Millis,
    /// Against episodes, if there are any.
    pub accuracy: Option<Accuracy>,
}

/// Judges what fired in a range; `pages` says which alerts page somebody.
pub fn score(
    spans: &[Span],
    range: TimeRange,
    episodes: &[Episode],
    pages: &dyn Fn(&Labels) -> bool,
    local: &dyn Fn(Timestamp) -> LocalTime,
) -> Score {
    let paging: Vec<&Span> = spans.iter().filter(|span| pages(&span.labels)).collect();
    let mut classes = [0; 3];
    for span in paging.iter().filter(|span| range.contains(span.start)) {
        classes[Interruption::of(local(span.start)) as usize] += 1;
    }
    let firing = spans.iter().map(|span| (span.until(range).min(range.until) - span.start.max(range.after)).0).sum();
    let accuracy = (!episodes.is_empty()).then(|| {
        let tells = |span: &&&Span| episodes.iter().any(|episode| episode.is_told_by(span, range));
        let detection = |episode: &Episode| {
            let first = paging.iter().filter(|span| episode.is_told_by(span, range)).map(|span| span.start).min()?;
            Some((first - episode.start).max(Millis::ZERO))
        };
        let detection: Vec<Option<Millis>> = episodes.iter().map(detection).collect();
        Accuracy {
            precision: Share { k: paging.iter().filter(tells).count(), n: paging.len() },
            recall: Share { k: detection.iter().flatten().count(), n: episodes.len() },
            detection,
        }
    });
    Score { alerts: spans.len(), pages: classes, firing: Millis(firing), accuracy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_has_three_kinds_of_hours() {
        let check = |weekday: u8, hour: u8, expected: Interruption| {
            assert_eq!(Interruption::of(LocalTime { weekday, hour }), expected, "{weekday} {hour}");
        };
        check(0, 8, Interruption::Business);
        check(4, 17, Interruption::Business);
        check(4, 18, Interruption::Off);
        check(4, 21, Interruption::Off);
        check(4, 22, Interruption::Sleep);
        check(5, 7, Interruption::Sleep);
        check(5, 8, Interruption::Off);
        check(6, 12, Interruption::Off);
        check(6, 23, Interruption::Sleep);
    }

    #[test]
    fn pages_are_held_against_episodes() {
        let t = |minutes: i64| Timestamp(minutes * 60_000);
        let span = |job: &str, start: i64, end: i64| Span {
            labels: Labels::new([("alertname", "A"), ("job", job)]).unwrap(),
            annotations: Labels::empty(),
            active_at: t(start),
            start: t(start),
            end: Some(t(end)),
            value: 1.0,
        };
        let episode = |job: &str, start: i64, end: i64| Episode {
            start: t(start),
            end: t(end),
            labels: Labels::new([("job", job), ("team", "x")]).unwrap(),
            name: String::new(),
        };
        let spans = [span("a", 12, 20), span("a", 18, 22), span("b", 12, 20), span("a", 50, 60), span("a", 95, 120)];
        let episodes = [episode("a", 10, 30), episode("a", 40, 45), episode("a", 100, 110)];
        let range = TimeRange { after: t(0), until: t(200) };
        let local = |t: Timestamp| LocalTime { weekday: 0, hour: (t.0 / 600_000) as u8 };
        let score = score(&spans, range, &episodes, &|_| true, &local);
        assert_eq!((score.alerts, score.pages), (5, [1, 0, 4]));
        let accuracy = score.accuracy.unwrap();
        assert_eq!((accuracy.precision, accuracy.recall), (Share { k: 3, n: 5 }, Share { k: 2, n: 3 }));
        assert_eq!(accuracy.detection, [Some(Millis::minutes(2)), None, Some(Millis::ZERO)]);
        assert_eq!(accuracy.detection_quantile(0.5), Some(Millis::ZERO));
        assert_eq!(accuracy.detection_quantile(0.9), Some(Millis::minutes(2)));
    }
}

//! What is promised: a share of good events over a window.

use std::fmt;

use crate::model::limits;
use crate::model::{Labels, LabelsError, Matcher, Millis, Timestamp};

use super::adjustment::Adjustment;
use super::calendar::Calendar;
use super::events::{Events, Reading, Term, selector};
use super::history::Counts;
use super::pair::BurnPair;
use super::series::Increase;
use super::severity::SeverityRow;
use super::slices::Method;
use super::status::shown_span;

/// Stands for the window in the expression of a part.
const WINDOW_PLACE: &str = "WINDOW";

/// Labels that every alert of an objective carries.
const RESERVED: [&str; 5] = ["alertname", "service", "severity", "slo", "window"];

/// A promise about a service: `objective` of the events of any `window` are good.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Whose promise it is.
    pub service: String,
    /// Its name, unique within the service.
    pub name: String,
    /// The promised share of good events, between 0 and 1, both excluded: 0.999.
    pub objective: f64,
    /// The rolling window over which the promise is kept: 30 days. With a calendar what its periods are taken for where
    /// a length is needed.
    pub window: Millis,
    /// Instead of a rolling window: periods of the calendar, each with a budget of its own.
    pub calendar: Option<Calendar>,
    /// What the budget is made of.
    pub method: Method,
    /// Times in which events do not count.
    pub adjustments: Vec<Adjustment>,
    /// How good events are told from all.
    pub indicator: Indicator,
    /// The labels of which every combination has a budget of its own, beside that of all together; empty: none.
    pub group_by: Vec<String>,
    /// Combinations that have a budget of their own; the events of others count in the total alone.
    pub groups_max: usize,
    /// The burn pairs that alert; absent: [`BurnPair::standard`].
    pub pairs: Option<Vec<BurnPair>>,
    /// The severity table, the first row first; empty: alerts have the severity of their pair.
    pub severities: Vec<SeverityRow>,
    /// Labels of all its alerts.
    pub labels: Labels,
    /// Labels of its pages.
    pub page_labels: Labels,
    /// Labels of its tickets.
    pub ticket_labels: Labels,
    /// Annotations of all its alerts; they win over the ones made here.
    pub annotations: Labels,
    /// Of which group alone it is the promise; empty: of all.
    group: Labels,
}

impl Objective {
    /// An objective with the standard burn pairs and no labels of its own.
    pub fn new(service: &str, name: &str, objective: f64, window: Millis, indicator: Indicator) -> Objective {
        Objective {
            service: service.to_owned(),
            name: name.to_owned(),
            objective,
            window,
            indicator,
            calendar: None,
            method: Method::Occurrences,
            adjustments: Vec::new(),
            group_by: Vec::new(),
            groups_max: limits::OBJECTIVE_GROUPS,
            pairs: None,
            severities: Vec::new(),
            labels: Labels::empty(),
            page_labels: Labels::empty(),
            ticket_labels: Labels::empty(),
            annotations: Labels::empty(),
            group: Labels::empty(),
        }
    }

    /// Of which group alone it is the promise; empty: of all.
    pub(super) fn group(&self) -> &Labels {
        &self.group
    }

    /// Its name with its group: `availability`, `availability{route="/pay"}`.
    pub(super) fn title(&self) -> String {
        titled(&self.name, &self.group)
    }

    /// The group to which a series belongs; empty if there are none.
    pub(super) fn group_of(&self, series: &Labels) -> Labels {
        match self.group_by.is_empty() {
            true => Labels::empty(),
            false => series.filter(|name| self.group_by.iter().any(|by| by == name)),
        }
    }

    /// The same promise for the events of one group alone.
    pub(super) fn of_group(&self, group: &Labels) -> Objective {
        let mut labels = self.labels.builder();
        for label in group.iter() {
            // What every alert of an objective carries is not overwritten, but renamed, as in a scrape.
            let renamed = format!("exported_{}", label.name);
            labels.set(if RESERVED.contains(&label.name) { &renamed } else { label.name }, label.value);
        }
        let more = self.group_by.iter().map(|name| Matcher::equal(name, group.get(name))).collect::<Vec<_>>();
        Objective {
            indicator: self.indicator.narrowed(&more),
            group_by: Vec::new(),
            group: group.clone(),
            // A group's labels passed the limits as those of a series; of both together the alert does without its own.
            labels: labels.build().unwrap_or_else(|_| self.labels.clone()),
            ..self.clone()
        }
    }

    /// The longest time over which its budget looks back.
    pub(super) fn reach(&self) -> Millis {
        self.calendar.as_ref().map_or(self.window, |calendar| calendar.longest().max(self.window))
    }

    /// The rolling window, or what has passed of the present period: a span that a person can run a query over.
    pub(super) fn passed(&self, at: Timestamp) -> Millis {
        self.calendar.as_ref().map_or(self.window, |calendar| shown_span(at - calendar.period(at).0))
    }

    /// The window in words: `30d`, `month in Europe/Berlin`.
    pub fn window_text(&self) -> String {
        self.calendar.as_ref().map_or_else(|| self.window.to_string(), Calendar::to_string)
    }

    /// What is counted, in the plural: `events`, `slices of 1m`, `events by weight`.
    pub fn units(&self) -> String {
        match &self.indicator {
            Indicator::Composite(_) => "events by weight".to_owned(),
            _ => self.method.units(),
        }
    }

    /// Its expression with a place for the window.
    pub(super) fn query_template(&self) -> String {
        // An odd length, so that it is found again; no window of a slice is like it.
        let odd = Millis(7_654_321_001);
        self.error_query(odd).replace(&odd.to_string(), WINDOW_PLACE)
    }

    /// Its budget in words: `30d error budget`, `error budget of the month in Europe/Berlin`.
    pub(super) fn budget_text(&self) -> String {
        match &self.calendar {
            None => format!("{} error budget", self.window),
            Some(calendar) => format!("error budget of the {calendar}"),
        }
    }

    /// The expression that gives the share of what is bad over `window`: evidence that a person can run.
    pub fn error_query(&self, window: Millis) -> String {
        match self.method {
            Method::Occurrences => self.indicator.error_query(window),
            Method::Timeslices { width, target } => {
                let share = ((1.0 - target) * 1e12).round() / 1e12;
                format!("avg_over_time((({}) > bool {share})[{window}:{width}])", self.indicator.error_query(width))
            }
            Method::RatioTimeslices { width } => {
                format!("avg_over_time((({}) >= 0)[{window}:{width}])", self.indicator.error_query(width))
            }
        }
    }

    /// What it promises, of what, and when it alerts: one line for each.
    pub fn definition_text(&self) -> String {
        let mut text = format!("objective: {}/{}\n", self.service, self.name);
        text += &format!("target: {} % over {}\n", self.objective * 100.0, self.window_text());
        text += &format!("counts: {}\n", self.indicator.identity());
        text.extend(self.indicator.parts().iter().map(|part| {
            let (service, name, weight) = (&part.service, &part.name, part.weight);
            format!("part: {service}/{name} with a weight of {weight}\n")
        }));
        let reckoning = self.reckoning();
        text.extend((!reckoning.is_empty()).then(|| format!("reckoning: {reckoning}\n")));
        if !self.group_by.is_empty() {
            text += &format!("groups: at most {} by {}\n", self.groups_max, self.group_by.join(", "));
        }
        let pairs = self.pairs.clone().unwrap_or_else(|| BurnPair::standard(self.window));
        text.extend(pairs.iter().map(|pair| {
            let (severity, threshold) = (pair.severity.as_str(), pair.threshold);
            format!("{severity}: from {threshold} over {} and {}\n", pair.long, pair.short)
        }));
        let labels = [("all", &self.labels), ("pages", &self.page_labels), ("tickets", &self.ticket_labels)];
        text.extend(
            labels.into_iter().filter(|(_, set)| !set.is_empty()).map(|(of, set)| format!("labels of {of}: {set}\n")),
        );
        text
    }

    /// A text that is equal exactly if the same events make the same counts.
    pub(super) fn reckoning(&self) -> String {
        let method = match self.method {
            Method::Occurrences => String::new(),
            Method::Timeslices { width, target } => format!("slices of {width} above {target}"),
            Method::RatioTimeslices { width } => format!("ratios of {width}"),
        };
        let adjustments = self.adjustments.iter().map(|adjustment| format!("; {}", adjustment.schedule));
        method + &adjustments.collect::<String>()
    }

    /// The share of events that may be bad: 0.001 for an objective of 0.999.
    pub fn budget(&self) -> f64 {
        // 1 - 0.999 is 0.0010000000000000009; twelve digits are what a person meant.
        ((1.0 - self.objective) * 1e12).round() / 1e12
    }
}

/// A name with the group that it is about.
pub(super) fn titled(name: &str, group: &Labels) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}{group}") }
}

/// How good events are told from all events.
#[derive(Debug, Clone, PartialEq)]
pub enum Indicator {
    /// Good events and all.
    Ratio {
        /// Counts the good events.
        good: Events,
        /// Counts all events.
        total: Events,
    },
    /// Bad events and all.
    ErrorRatio {
        /// Counts the bad events.
        errors: Events,
        /// Counts all events.
        total: Events,
    },
    /// A gauge: each sample is an event, good if it satisfies the bound. NaN is no event.
    Threshold {
        /// Selects the gauges.
        gauge: Vec<Matcher>,
        /// How a value is compared with the bound.
        op: Comparison,
        /// The bound.
        bound: f64,
    },
    /// Other objectives together: the weighted mean of their shares of bad events.
    Composite(Vec<Part>),
}

/// A part of a composite: another objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The service of the part.
    pub service: String,
    /// Its name.
    pub name: String,
    /// How much it weighs beside the others; any number above 0.
    pub weight: f64,
    /// The expression of its share of bad events, with `WINDOW` for the window: filled in when it is found.
    pub(super) query: String,
}

impl Part {
    /// A part by its name.
    pub fn new(service: &str, name: &str, weight: f64) -> Part {
        Part { service: service.to_owned(), name: name.to_owned(), weight, query: String::new() }
    }
}

impl Indicator {
    /// The two sums whose quotient it is; a gauge has none.
    pub(super) fn sides(&self) -> Option<[&Events; 2]> {
        match self {
            Indicator::Ratio { good: part, total } | Indicator::ErrorRatio { errors: part, total } => {
                Some([part, total])
            }
            Indicator::Threshold { .. } | Indicator::Composite(_) => None,
        }
    }

    /// Increases as bad events and all.
    pub(super) fn counts(&self, more: Increase) -> Counts {
        let bad = match self {
            Indicator::Ratio { .. } => more.total - more.part,
            Indicator::ErrorRatio { .. } | Indicator::Threshold { .. } | Indicator::Composite(_) => more.part,
        };
        Counts { bad, total: more.total }
    }

    /// Whether its good events are those in a bucket of a classic histogram.
    pub(super) fn counts_a_bucket(&self) -> bool {
        let Indicator::Ratio { good, .. } = self else { return false };
        good.matchers().all(|matchers| matchers.iter().any(|matcher| matcher.name() == "le"))
    }

    /// The selectors of all its series.
    pub(super) fn matchers(&self) -> Vec<&[Matcher]> {
        match self {
            Indicator::Ratio { good: part, total } | Indicator::ErrorRatio { errors: part, total } => {
                total.matchers().chain(part.matchers()).collect()
            }
            Indicator::Threshold { gauge, .. } => vec![gauge],
            Indicator::Composite(_) => Vec::new(),
        }
    }

    /// The same of metrics that are no counters: each sample says how many events there were since the last.
    #[must_use]
    pub fn of_deltas(self) -> Indicator {
        match self {
            Indicator::Ratio { good, total } => Indicator::Ratio { good: good.of_deltas(), total: total.of_deltas() },
            Indicator::ErrorRatio { errors, total } => {
                Indicator::ErrorRatio { errors: errors.of_deltas(), total: total.of_deltas() }
            }
            other @ (Indicator::Threshold { .. } | Indicator::Composite(_)) => other,
        }
    }

    /// The same of fewer series: of those that satisfy `more` as well.
    fn narrowed(&self, more: &[Matcher]) -> Indicator {
        let both = |matchers: &[Matcher]| matchers.iter().chain(more).cloned().collect::<Vec<_>>();
        let events = |events: &Events| Events {
            terms: events.terms.iter().map(|term| Term { series: both(&term.series), ..term.clone() }).collect(),
        };
        match self {
            Indicator::Ratio { good, total } => Indicator::Ratio { good: events(good), total: events(total) },
            Indicator::ErrorRatio { errors, total } => {
                Indicator::ErrorRatio { errors: events(errors), total: events(total) }
            }
            Indicator::Threshold { gauge, op, bound } => {
                Indicator::Threshold { gauge: both(gauge), op: *op, bound: *bound }
            }
            Indicator::Composite(parts) => Indicator::Composite(parts.clone()),
        }
    }

    /// What is read from samples, each once.
    pub(super) fn readings(&self) -> Vec<Reading> {
        let mut all = Vec::new();
        match self.sides() {
            Some(sides) => {
                for reading in sides.into_iter().flat_map(Events::readings) {
                    if !all.contains(&reading) {
                        all.push(reading);
                    }
                }
            }
            None if matches!(self, Indicator::Threshold { .. }) => all.push(Reading::Value),
            None => {}
        }
        all
    }

    /// The expression that gives the error ratio over `window`: evidence that a person can run.
    pub fn error_query(&self, window: Millis) -> String {
        let side = |events: &Events| match events.terms.len() {
            1 => events.query(window),
            _ => format!("({})", events.query(window)),
        };
        match self {
            Indicator::Ratio { good, total } if let Some(fraction) = good.fraction_of(total, window) => {
                format!("1 - {fraction}")
            }
            Indicator::Ratio { good, total } => format!("1 - {} / {}", side(good), side(total)),
            Indicator::ErrorRatio { errors, total } => format!("{} / {}", side(errors), side(total)),
            Indicator::Threshold { gauge, op, bound } => {
                format!("1 - avg(avg_over_time(({} {op} bool {bound})[{window}:]))", selector(gauge))
            }
            Indicator::Composite(parts) => {
                let part = |part: &Part| {
                    format!("{} * ({})", part.weight, part.query.replace(WINDOW_PLACE, &window.to_string()))
                };
                let weights: f64 = parts.iter().map(|part| part.weight).sum();
                format!("({}) / {weights}", parts.iter().map(part).collect::<Vec<_>>().join(" + "))
            }
        }
    }

    /// The expression that gives how many events there were over `window`.
    pub fn total_query(&self, window: Millis) -> String {
        match self {
            Indicator::Ratio { total, .. } | Indicator::ErrorRatio { total, .. } => total.query(window),
            Indicator::Threshold { gauge, .. } => format!("sum(count_over_time({}[{window}]))", selector(gauge)),
            Indicator::Composite(_) => "vector(0)".to_owned(),
        }
    }

    /// The selectors whose series are watched, for texts.
    pub(super) fn selectors(&self) -> String {
        match self {
            Indicator::Ratio { good: one, total } | Indicator::ErrorRatio { errors: one, total } => {
                format!("{} and {}", total.text(), one.text())
            }
            Indicator::Threshold { gauge, .. } => selector(gauge),
            Indicator::Composite(parts) => {
                parts.iter().map(|part| format!("{}/{}", part.service, part.name)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// A text that is equal exactly if the same series are counted in the same way.
    pub(super) fn identity(&self) -> String {
        match self {
            Indicator::Ratio { good, total } => format!("ratio {} {}", good.text(), total.text()),
            Indicator::ErrorRatio { errors, total } => format!("errors {} {}", errors.text(), total.text()),
            Indicator::Threshold { gauge, op, bound } => format!("threshold {} {op} {bound}", selector(gauge)),
            Indicator::Composite(_) => format!("composite {}", self.selectors()),
        }
    }

    /// The parts of a composite; of another there are none.
    pub fn parts(&self) -> &[Part] {
        match self {
            Indicator::Composite(parts) => parts,
            Indicator::Ratio { .. } | Indicator::ErrorRatio { .. } | Indicator::Threshold { .. } => &[],
        }
    }
}

/// A comparison of a gauge with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Comparison {
    /// Whether `value` satisfies the bound; NaN satisfies only `!=`.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Comparison::Equal => value == bound,
            Comparison::NotEqual => value != bound,
            Comparison::Less => value < bound,
            Comparison::LessEqual => value <= bound,
            Comparison::Greater => value > bound,
            Comparison::GreaterEqual => value >= bound,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        })
    }
}

/// An objective that cannot be watched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ObjectiveError {
    /// No service or no name.
    #[error("an objective has no {what}; give it one")]
    Unnamed {
        /// Which of the two.
        what: &'static str,
    },
    /// A share that leaves no budget, or nothing to promise.
    #[error("{place}: objective {objective} must lie between 0 and 1, both excluded; write 99.9 % as 0.999")]
    OutOfRange {
        /// Service and name.
        place: String,
        /// The share given.
        objective: f64,
    },
    /// A window over which burn rates mean nothing, or that is too long to keep.
    #[error("{place}: window {window} must lie between 1h and 366d")]
    Window {
        /// Service and name.
        place: String,
        /// The window given.
        window: Millis,
    },
    /// A burn rate that not even a full outage reaches.
    #[error(
        "{place}: a burn rate of {threshold} can never be reached, because a full outage burns {most:.1} times the \
         budget of {objective}; raise the objective or lower the threshold"
    )]
    Unreachable {
        /// Service and name.
        place: String,
        /// The threshold.
        threshold: f64,
        /// The burn rate of a full outage.
        most: f64,
        /// The promised share.
        objective: f64,
    },
    /// A pair whose windows are not short and long.
    #[error("{place}: burn windows {short} and {long} must be positive, the first the shorter, within the objective's")]
    PairWindows {
        /// Service and name.
        place: String,
        /// The short window.
        short: Millis,
        /// The long window.
        long: Millis,
    },
    /// Two pairs of one severity whose alerts could not be told apart.
    #[error("{place}: two burn pairs of the same severity have the long window {long}; change one")]
    PairTwice {
        /// Service and name.
        place: String,
        /// The long window.
        long: Millis,
    },
    /// Two pairs of which the severity table may make alerts that could not be told apart.
    #[error(
        "{place}: the severity table may give both pairs over {long} the same severity; change one of them, or a row"
    )]
    PairsAlike {
        /// Service and name.
        place: String,
        /// The long window.
        long: Millis,
    },
    /// The same service and name twice.
    #[error("{place}: the objective stands twice; rename one")]
    Duplicate {
        /// Service and name.
        place: String,
    },
    /// A selector without any condition.
    #[error("{place}: a selector is empty and would match every series; name a metric")]
    EmptySelector {
        /// Service and name.
        place: String,
    },
    /// A calendar, a method or adjustments that cannot be kept.
    #[error("{place}: {reason}")]
    Reckoning {
        /// Service and name.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A composite whose parts are not there, or cannot be put together.
    #[error("{place}: {reason}")]
    Parts {
        /// Service and name.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Groups of which nothing can be told apart, or of which too many may be.
    #[error("{place}: {reason}")]
    Groups {
        /// Service and name.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Labels that an alert cannot carry.
    #[error("{place}: {source}")]
    Labels {
        /// Service and name.
        place: String,
        /// What is wrong.
        source: LabelsError,
    },
    /// More objectives than are watched.
    #[error("{count} objectives; at most {most} are watched")]
    TooMany {
        /// How many there were.
        count: usize,
        /// How many may be.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MatchOp;

    #[test]
    fn evidence_is_a_query() {
        let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let indicator = Indicator::Ratio {
            good: vec![Matcher::equal("__name__", "http_requests_total"), m("code", MatchOp::NotMatch, "5..")].into(),
            total: vec![Matcher::equal("__name__", "http_requests_total")].into(),
        };
        assert_eq!(
            indicator.error_query(Millis::hours(1)),
            "1 - sum(increase(http_requests_total{code!~\"5..\"}[1h])) / sum(increase(http_requests_total[1h]))"
        );
        let up = Indicator::Threshold {
            gauge: vec![Matcher::equal("__name__", "up"), Matcher::equal("job", "a")],
            op: Comparison::Equal,
            bound: 1.0,
        };
        assert_eq!(up.error_query(Millis::minutes(5)), "1 - avg(avg_over_time((up{job=\"a\"} == bool 1)[5m:]))");
    }

    #[test]
    fn the_budget_is_what_was_meant() {
        let objective = |share| {
            let gauge = vec![Matcher::equal("__name__", "up")];
            let up = Indicator::Threshold { gauge, op: Comparison::Equal, bound: 1.0 };
            Objective::new("s", "o", share, Millis::days(30), up).budget()
        };
        assert_eq!(objective(0.999), 0.001);
        assert_eq!(objective(0.99999), 0.00001);
    }
}

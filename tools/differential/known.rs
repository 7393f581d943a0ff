//! Differences that have a reason: bugs of the peer, and what changed after its version.

use crate::answer::Part;

/// A difference that was made as small as it gets.
pub(crate) struct Found {
    pub(crate) text: String,
    pub(crate) part: Part,
    /// Where the answers differ: ours, then the peer's.
    pub(crate) place: String,
    /// Whether the peer also gave our answer, when it was asked again or for an instant.
    pub(crate) peer_contradicts_itself: bool,
    /// Whether annotations tell of custom bounds that are not the same.
    pub(crate) custom_buckets: bool,
}

/// A kind of difference, and why it is none of ours.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    pub(crate) explains: fn(&Found) -> bool,
}

/// All of them; the first that explains a difference gives it its name.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: "peer contradicts itself",
        why: "asked again, or for an instant and not for a range, it answers as we do: buckets of native histograms that it \
              shares between steps and queries get lost",
        explains: |found| found.peer_contradicts_itself,
    },
    Known {
        name: "sort note",
        why: "3.5 does not warn that sorting shows in no range answer",
        explains: |found| found.notes("sort is ineffective for range queries", "") && found.text.contains("sort"),
    },
    Known {
        name: "custom bounds",
        why: "3.5 refuses to combine histograms of different custom bounds; later versions take the common ones",
        explains: |found| {
            let notes = found.part == Part::Notes && found.place.contains("mismatched custom buckets");
            let resets = found.text.starts_with("resets(size_bytes") && found.part == Part::Values;
            notes || resets || (found.part != Part::Notes && found.custom_buckets)
        },
    },
    Known {
        name: "conflicting resets",
        why: "3.5 does not warn of a sum of histograms of which some are known to follow a reset and others not to",
        explains: |found| found.notes("conflicting counter resets", ""),
    },
    Known {
        name: "extrapolation below zero",
        why: "3.5 extrapolates histograms beyond the time when they were empty (prometheus#15976)",
        explains: |found| {
            let holds = |names: &[&str]| names.iter().any(|name| found.text.contains(name));
            let histograms = found.place.contains("{count") || found.text.contains("histogram_");
            found.part == Part::Values
                && histograms
                && holds(&["rate(", "increase("])
                && holds(&["latency", "size_", "mixed"])
        },
    },
    Known {
        name: "negated histogram",
        why: "3.5 does not take a histogram times a negative number for a gauge",
        explains: |found| {
            found.place.contains("[warning: this native histogram metric is not a") && found.text.contains('-')
        },
    },
    Known {
        name: "choice of k",
        why: "of equal values, and for limitk of all, Prometheus takes those that it met first, which differs from one kind of \
              query to the other",
        explains: |found| {
            ["topk", "bottomk", "limitk"].iter().any(|op| found.text.contains(op)) && found.part != Part::Notes
        },
    },
    Known {
        name: "k of NaN",
        why: "3.5 does not refuse a k of NaN where there is nothing to choose from",
        explains: |found| {
            let texts = ["Parameter value is NaN", "Ratio value is NaN"];
            found.part == Part::Error && texts.iter().any(|text| found.place.contains(text))
        },
    },
    Known {
        name: "mad of NaN",
        why: "3.5 drops NaN from mad_over_time; later its result is NaN",
        explains: |found| found.part == Part::Values && found.text.contains("mad_over_time"),
    },
    Known {
        name: "calendar of no time",
        why: "what Prometheus makes of a time that is NaN or beyond 64 bits is left to the processor; we say NaN",
        explains: |found| {
            let names = ["year", "month", "day_of", "days_in", "hour", "minute"];
            found.part == Part::Values
                && names.iter().any(|name| found.text.contains(name))
                && found.place.contains("NaN |")
        },
    },
    Known {
        name: "bytes that are no text",
        why: "Prometheus takes strings that are no UTF-8 and refuses them as label names later; we do at once",
        explains: |found| found.part == Part::Error && found.text.contains("\\xff"),
    },
    Known {
        name: "offset in parentheses",
        why: "3.5 reads on behind the parentheses of an offset, as if the operator belonged to its arithmetic",
        explains: |found| {
            let behind = ["offset (", "offset -("].iter().filter_map(|begin| found.text.split_once(begin));
            behind.flat_map(|(_, rest)| rest.split_once(") ")).any(|(_, rest)| !rest.is_empty())
        },
    },
    Known {
        name: "empty buckets",
        why: "Prometheus keeps buckets that count nothing: times infinity they are NaN, and the zero bucket ends below zero if \
              there are some above it; here they are not there",
        explains: |found| {
            let infinite = found.place.contains("inf") && found.text.contains("Inf");
            let cuts = ["histogram_quantile(", "histogram_fraction("];
            let cut = cuts.iter().any(|name| found.text.starts_with(name)) && found.text.contains("latency");
            found.part == Part::Values && (infinite || cut || found.place.contains("{count NaN"))
        },
    },
    Known {
        name: "fraction of classic histograms",
        why: "3.5 gives NaN for all of them",
        explains: |found| {
            found.part == Part::Values && found.text.contains("histogram_fraction(") && found.place.ends_with("| NaN")
        },
    },
    Known {
        name: "last digits in labels",
        why: "count_values shows all digits, and the bounds of buckets and some functions differ in the last",
        explains: |found| found.part == Part::Labels && found.text.contains("count_values"),
    },
    Known {
        name: "sums of huge numbers",
        why: "our sums are exact: only what is too large in the end is infinite, and what cancels out is zero",
        explains: |found| {
            let sums = ["rate(", "increase(", "sum", "avg", "delta(", "std"];
            let summed = found.text.contains("odd") && sums.iter().any(|name| found.text.contains(name));
            [Part::Values, Part::Times].contains(&found.part) && summed
        },
    },
    Known {
        name: "sums of nothing",
        why: "our sums are exact: what cancels out is zero, and not what rounding left of it",
        explains: |found| {
            let sums = ["rate(", "increase(", "sum", "avg", "delta("];
            let nothing = found.place.split_once(" | ").is_some_and(|(ours, peers)| {
                (ours.contains("sum 0.0 ") && !peers.contains("sum 0.0 "))
                    || found.values().is_some_and(|(ours, peers)| ours == 0.0 && peers.abs() < 1e-12)
            });
            found.part == Part::Values && nothing && sums.iter().any(|name| found.text.contains(name))
        },
    },
    Known {
        name: "turns of large angles",
        why: "the last digit of an exponential says how often it turns round, and libraries do not agree on it",
        explains: |found| {
            let holds = |names: &[&str]| names.iter().any(|name| found.text.contains(name));
            found.part == Part::Values && holds(&["sin(", "cos(", "tan("]) && holds(&["exp(", "sinh(", "cosh(", "^"])
        },
    },
    Known {
        name: "deviation of numbers that are almost equal",
        why: "it is as small as the last digits of the numbers, on which ours are exact",
        explains: |found| {
            let small = found.values().is_some_and(|(a, b)| (a - b).abs() < 1e-13);
            found.part == Part::Values && found.text.contains("std") && small
        },
    },
    Known {
        name: "variance of huge numbers",
        why: "ours is exact, and takes squares of what is beyond 1e135 for infinite",
        explains: |found| {
            let place = ["inf | ", "inf, "].iter().any(|text| found.place.contains(text));
            found.part == Part::Values && found.text.contains("std") && place
        },
    },
    Known {
        name: "sinh and cosh near overflow",
        why: "Go halves the exponential when it has overflowed already",
        explains: |found| {
            let names = ["sinh(", "cosh("];
            found.part == Part::Values
                && names.iter().any(|name| found.text.contains(name))
                && found.place.contains("inf")
        },
    },
    Known {
        name: "logarithms of subnormal numbers",
        why: "the peer's are those of another number: Go's assembly takes no account of what is below 2^-1022",
        explains: |found| {
            let names = ["ln(", "log2(", "log10("];
            found.part == Part::Values
                && names.iter().any(|name| found.text.contains(name))
                && found.place.contains("tiny")
        },
    },
    Known {
        name: "matches that are dropped",
        why: "3.5 looks for several matches only among those that a comparison, or a combination of types, leaves over",
        explains: |found| {
            found.part == Part::Error
                && found.place.contains("execution: multiple matches")
                && found.place.ends_with("| an answer")
        },
    },
    Known {
        name: "deviation of large numbers",
        why: "the deviation of times of day is small beside the times, whose last digits decide",
        explains: |found| {
            found.part == Part::Values
                && found.text.contains("std")
                && (found.text.contains("ts_of_") || found.text.contains("time"))
        },
    },
    Known {
        name: "labels that some lack",
        why: "3.5 sorts in no order at all by a label that some series do not have",
        explains: |found| found.part == Part::Order && found.text.contains("sort_by_label"),
    },
    Known {
        name: "info with offset",
        why: "3.5 looks for info series as if there were neither offset nor @",
        explains: |found| {
            let shifted = found.text.contains(" offset ") || found.text.contains(" @ ");
            matches!(found.part, Part::Labels | Part::Times) && found.text.contains("info(") && shifted
        },
    },
    Known {
        name: "info of an info series",
        why: "3.5 does not let target_info pass as it is where the conditions name no metric (prometheus#17932), and drops series \
              that have the labels of their info series already (prometheus#17817)",
        explains: |found| {
            let dropped = found.place.ends_with("| –");
            found.part == Part::Labels && dropped && found.text.contains("info(") && found.text.contains("target_info")
        },
    },
    Known {
        name: "notes of steps that nobody sees",
        why: "Prometheus evaluates a subquery also at steps that lie in none of the windows, and tells what it meets there",
        explains: |found| found.notes("[]", "warning") && found.text.contains(':'),
    },
];

impl Found {
    /// The two numbers, ours and the peer's, if the answers differ in numbers.
    fn values(&self) -> Option<(f64, f64)> {
        let (ours, peers) = self.place.rsplit_once(" | ")?;
        Some((ours.rsplit(' ').next()?.parse().ok()?, peers.parse().ok()?))
    }

    /// Whether the answers differ in annotations of these kinds, ours and the peer's.
    fn notes(&self, ours: &str, peers: &str) -> bool {
        let holds = |list: &str, kind: &str| if kind.is_empty() { list == "[]" } else { list.contains(kind) };
        let place = self.place.trim_start_matches("instant ").trim_start_matches("range ");
        let found = place.split_once(" | ");
        self.part == Part::Notes && found.is_some_and(|(a, b)| holds(a, ours) && holds(b, peers))
    }
}

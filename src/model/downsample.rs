//! Which series are kept at a lower resolution from which age on.
//!
//! Invariants of rules that were checked:
//! - The resolutions of any two are multiples of one another: what was downsampled to one can be downsampled to
//!   the other, and gives the same as if it had been at once.
//! - Nothing is downsampled that may still come late, nor anything that is not kept long enough.

use super::limits::{DOWNSAMPLE_RESOLUTION_MAX, DOWNSAMPLE_RESOLUTION_MIN, DOWNSAMPLE_RULES_MAX};
use super::matcher::Matcher;
use super::time::Millis;

/// From some age on, of some series, one sample is kept for each interval, and what is known of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownsampleRule {
    /// The series: those that satisfy all of them.
    pub matchers: Vec<Matcher>,
    /// From this age on.
    pub after: Millis,
    /// How long the intervals are.
    pub resolution: Millis,
}

/// What is wrong with a rule: its place among all, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {} of downsample: {message}", .rule + 1)]
pub struct DownsampleError {
    /// The rule.
    pub rule: usize,
    /// Which part of it is at fault.
    pub fault: DownsampleFault,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Which part of a rule is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownsampleFault {
    /// The age.
    After,
    /// The resolution.
    Resolution,
    /// That there is one more.
    Rule,
}

impl DownsampleRule {
    /// Checks rules for a store that keeps samples for `keep` at the most and takes them up to `out_of_order`
    /// late.
    ///
    /// # Errors
    /// The first rule that cannot be followed.
    pub fn check(rules: &[DownsampleRule], keep: Millis, out_of_order: Millis) -> Result<(), DownsampleError> {
        for (number, rule) in rules.iter().enumerate() {
            let error = |fault, message| Err(DownsampleError { rule: number, fault, message });
            let DownsampleRule { after, resolution, .. } = rule;
            if number >= DOWNSAMPLE_RULES_MAX {
                let message = format!("there are more than {DOWNSAMPLE_RULES_MAX} entries; leave some out");
                return error(DownsampleFault::Rule, message);
            }
            if !(DOWNSAMPLE_RESOLUTION_MIN..=DOWNSAMPLE_RESOLUTION_MAX).contains(resolution) {
                let (min, max) = (DOWNSAMPLE_RESOLUTION_MIN, DOWNSAMPLE_RESOLUTION_MAX);
                let message = format!("the resolution {resolution} is not between {min} and {max}; write one that is");
                return error(DownsampleFault::Resolution, message);
            }
            if *after >= keep {
                let message = format!(
                    "after {after} nothing is left to downsample: samples are kept for {keep}; shorten after or keep them longer"
                );
                return error(DownsampleFault::After, message);
            }
            if *after < *resolution || after.0 - resolution.0 < out_of_order.0 {
                let message = format!(
                    "samples may come {out_of_order} late and intervals are {resolution} long, so that after {after} is too soon; let after be at least the two together"
                );
                return error(DownsampleFault::After, message);
            }
            if let Some((fault, message)) = rule.conflict(&rules[..number]) {
                return error(fault, message);
            }
        }
        Ok(())
    }

    fn conflict(&self, earlier: &[DownsampleRule]) -> Option<(DownsampleFault, String)> {
        let (after, resolution) = (self.after, self.resolution);
        for other in earlier {
            let (low, high) = (resolution.min(other.resolution), resolution.max(other.resolution));
            if high.0 % low.0 != 0 {
                let message = format!(
                    "the resolution {resolution} and the earlier one of {} do not fit: write a multiple of one another",
                    other.resolution
                );
                return Some((DownsampleFault::Resolution, message));
            }
            if other.matchers != self.matchers {
                continue;
            }
            if after <= other.after {
                let message =
                    format!("after {after} does not rise: the entry before has {}; put them in order", other.after);
                return Some((DownsampleFault::After, message));
            }
            if resolution <= other.resolution {
                let message = format!(
                    "the resolution {resolution} does not rise: the entry before, for younger samples, has {}",
                    other.resolution
                );
                return Some((DownsampleFault::Resolution, message));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_be_followed_are_refused() {
        let rule = |after: i64, resolution: i64, name: &str| DownsampleRule {
            matchers: if name.is_empty() { Vec::new() } else { vec![Matcher::equal("job", name)] },
            after: Millis::seconds(after),
            resolution: Millis::seconds(resolution),
        };
        let check = |rules: &[DownsampleRule], expected: Option<(usize, &str)>| {
            let found = DownsampleRule::check(rules, Millis::days(1), Millis::minutes(10)).err();
            let shown = found.as_ref().map(|error| (error.rule, error.message.as_str()));
            assert!(
                match (shown, expected) {
                    (None, None) => true,
                    (Some((rule, message)), Some((place, part))) => rule == place && message.contains(part),
                    _ => false,
                },
                "{rules:?}: {shown:?}"
            );
        };
        check(&[], None);
        check(&[rule(3600, 300, ""), rule(7200, 3600, "")], None);
        check(&[rule(3600, 300, ""), rule(1800, 60, "a"), rule(3601, 600, "a")], None);
        check(&[rule(3600, 0, "")], Some((0, "is not between 1s and 1d")));
        check(&[rule(3600, 90_000, "")], Some((0, "is not between 1s and 1d")));
        check(&[rule(86_400, 300, "")], Some((0, "nothing is left to downsample: samples are kept for 1d")));
        check(&[rule(899, 300, "")], Some((0, "after 14m59s is too soon")));
        check(&[rule(900, 300, "")], None);
        check(&[rule(3600, 300, ""), rule(3600, 600, "")], Some((1, "after 1h does not rise")));
        check(&[rule(3600, 300, ""), rule(7200, 300, "")], Some((1, "resolution 5m does not rise")));
        check(&[rule(3600, 300, ""), rule(7200, 420, "a")], Some((1, "do not fit")));
        check(
            &(0..17).map(|n| rule(3600, 1 << n.min(9), &n.to_string())).collect::<Vec<_>>(),
            Some((16, "more than 16")),
        );
    }
}

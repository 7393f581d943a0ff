//! Relabeling: rules that rewrite a label set, or drop what it names.
//!
//! Source: "relabel_config", prometheus.io.

use md5::{Digest, Md5};

use crate::model::{Labels, LabelsBuilder, LabelsError, Pattern, PatternError};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelabelAction {
    /// Sets the target label to the replacement if the pattern matches the sources.
    Replace,
    /// Drops what the pattern does not match.
    Keep,
    /// Drops what the pattern matches.
    Drop,
    /// Drops what has another value in the target label than in the sources.
    KeepEqual,
    /// Drops what has the same value in the target label as in the sources.
    DropEqual,
    /// Sets the target label to a hash of the sources modulo a number.
    HashMod,
    /// Copies labels whose name matches to the name that the replacement gives.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the sources in lower case.
    Lowercase,
    /// Sets the target label to the sources in upper case.
    Uppercase,
}

impl RelabelAction {
    /// The action of this name in a configuration.
    pub fn parse(word: &str) -> Option<RelabelAction> {
        Some(match word {
            "replace" => RelabelAction::Replace,
            "keep" => RelabelAction::Keep,
            "drop" => RelabelAction::Drop,
            "keepequal" => RelabelAction::KeepEqual,
            "dropequal" => RelabelAction::DropEqual,
            "hashmod" => RelabelAction::HashMod,
            "labelmap" => RelabelAction::LabelMap,
            "labeldrop" => RelabelAction::LabelDrop,
            "labelkeep" => RelabelAction::LabelKeep,
            "lowercase" => RelabelAction::Lowercase,
            "uppercase" => RelabelAction::Uppercase,
            _ => return None,
        })
    }
}

impl RelabelAction {
    /// The name of the action in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            RelabelAction::Replace => "replace",
            RelabelAction::Keep => "keep",
            RelabelAction::Drop => "drop",
            RelabelAction::KeepEqual => "keepequal",
            RelabelAction::DropEqual => "dropequal",
            RelabelAction::HashMod => "hashmod",
            RelabelAction::LabelMap => "labelmap",
            RelabelAction::LabelDrop => "labeldrop",
            RelabelAction::LabelKeep => "labelkeep",
            RelabelAction::Lowercase => "lowercase",
            RelabelAction::Uppercase => "uppercase",
        }
    }
}

/// A rule as it is written; the default is Prometheus'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelOptions {
    /// The labels whose values are looked at.
    pub source_labels: Vec<String>,
    /// What stands between their values.
    pub separator: String,
    /// The pattern, which must match as a whole.
    pub regex: String,
    /// The divisor of a hash.
    pub modulus: u64,
    /// The label that is set; may refer to the pattern's groups.
    pub target_label: String,
    /// Its value; may refer to the pattern's groups.
    pub replacement: String,
    /// What to do.
    pub action: RelabelAction,
}

impl Default for RelabelOptions {
    fn default() -> RelabelOptions {
        RelabelOptions {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

/// A rule that can be applied.
#[derive(Debug, Clone)]
pub struct Relabel {
    options: RelabelOptions,
    pattern: Pattern,
}

impl PartialEq for Relabel {
    fn eq(&self, other: &Relabel) -> bool {
        self.options == other.options
    }
}

/// A rule that says nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// There is no such action.
    #[error("the action \"{action}\" is not known")]
    Action {
        /// The word.
        action: String,
    },
    /// The action needs a label to set or to compare.
    #[error("the action needs target_label")]
    NoTarget,
    /// A hash needs a divisor.
    #[error("hashmod needs a modulus above zero")]
    NoModulus,
}

impl Relabel {
    /// Checks a rule.
    ///
    /// # Errors
    /// The pattern is not one, or something that the action needs is missing.
    pub fn new(options: RelabelOptions) -> Result<Relabel, RelabelError> {
        use RelabelAction::{DropEqual, HashMod, KeepEqual, Lowercase, Replace, Uppercase};
        let sets = matches!(options.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
        if sets && options.target_label.is_empty() {
            return Err(RelabelError::NoTarget);
        }
        if options.action == HashMod && options.modulus == 0 {
            return Err(RelabelError::NoModulus);
        }
        let pattern = Pattern::new(&options.regex)?;
        Ok(Relabel { options, pattern })
    }

    /// The rule as it is written.
    pub fn options(&self) -> &RelabelOptions {
        &self.options
    }

    /// Applies the rule; `false` drops what the labels name.
    fn apply(&self, labels: &mut LabelsBuilder) -> Result<bool, LabelsError> {
        let options = &self.options;
        let values: Vec<&str> = options.source_labels.iter().map(|name| labels.get(name)).collect();
        let value = values.join(&options.separator);
        let target = &options.target_label;
        match options.action {
            RelabelAction::Keep => return Ok(self.pattern.is_match(&value)),
            RelabelAction::Drop => return Ok(!self.pattern.is_match(&value)),
            RelabelAction::KeepEqual => return Ok(labels.get(target) == value),
            RelabelAction::DropEqual => return Ok(labels.get(target) != value),
            RelabelAction::Replace => {
                if let Some(groups) = self.pattern.groups(&value) {
                    let (name, new) = (groups.expand(target), groups.expand(&options.replacement));
                    if !name.is_empty() {
                        labels.set(&name, &new);
                    }
                }
            }
            RelabelAction::HashMod => {
                labels.set(target, &(hash(&value) % options.modulus).to_string());
            }
            RelabelAction::Lowercase => {
                labels.set(target, &value.to_lowercase());
            }
            RelabelAction::Uppercase => {
                labels.set(target, &value.to_uppercase());
            }
            RelabelAction::LabelMap => {
                for label in labels.build()?.iter() {
                    if let Some(groups) = self.pattern.groups(label.name) {
                        labels.set(&groups.expand(&options.replacement), label.value);
                    }
                }
            }
            RelabelAction::LabelDrop | RelabelAction::LabelKeep => {
                let keep = options.action == RelabelAction::LabelKeep;
                for label in labels.build()?.iter() {
                    if self.pattern.is_match(label.name) != keep {
                        labels.remove(label.name);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// The second half of the MD5 sum, as Prometheus takes it: a target must land where it puts it.
fn hash(value: &str) -> u64 {
    Md5::digest(value)[8..].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// What each rule in turn makes of the labels, and whether it keeps what they name; nothing after the
/// rule that drops it.
///
/// # Errors
/// A rule makes labels that cannot be.
pub fn relabel_steps(labels: &Labels, rules: &[Relabel]) -> Result<Vec<(Labels, bool)>, LabelsError> {
    let mut labels = labels.builder();
    let mut steps = Vec::new();
    for rule in rules {
        let keep = rule.apply(&mut labels)?;
        steps.push((labels.build()?, keep));
        if !keep {
            break;
        }
    }
    Ok(steps)
}

/// Applies rules in order. `None`: one of them drops what the labels name.
pub(super) fn relabel(labels: &Labels, rules: &[Relabel]) -> Result<Option<Labels>, LabelsError> {
    if rules.is_empty() {
        return Ok(Some(labels.clone()));
    }
    let mut labels = labels.builder();
    for rule in rules {
        if !rule.apply(&mut labels)? {
            return Ok(None);
        }
    }
    labels.build().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: RelabelOptions, expected: Option<&str>) {
        let labels = Labels::new([("__name__", "m"), ("a", "foo"), ("b", "BAR"), ("a_c", "foo")]).unwrap();
        let rule = Relabel::new(options).unwrap();
        let got = relabel(&labels, &[rule]).unwrap();
        assert_eq!(got.map(|labels| labels.to_string()).as_deref(), expected);
    }

    fn rule(action: RelabelAction, source: &[&str], regex: &str, target: &str, replacement: &str) -> RelabelOptions {
        RelabelOptions {
            source_labels: source.iter().map(|name| (*name).to_owned()).collect(),
            regex: regex.to_owned(),
            target_label: target.to_owned(),
            replacement: replacement.to_owned(),
            modulus: 1000,
            action,
            ..RelabelOptions::default()
        }
    }

    #[test]
    fn every_action_does_its_work() {
        use RelabelAction as A;
        let same = r#"m{a="foo", a_c="foo", b="BAR"}"#;
        check(
            rule(A::Replace, &["a", "b"], "f(.*);(.*)", "d", "$2-$1"),
            Some(r#"m{a="foo", a_c="foo", b="BAR", d="BAR-oo"}"#),
        );
        check(rule(A::Replace, &["a"], "f", "d", "x"), Some(same));
        check(rule(A::Replace, &["a"], "(.*)", "${1}_x", "y"), Some(r#"m{a="foo", a_c="foo", b="BAR", foo_x="y"}"#));
        check(rule(A::Replace, &[], "", "b", ""), Some(r#"m{a="foo", a_c="foo"}"#));
        check(rule(A::Replace, &["a"], "(.*)", "__name__", "$1"), Some(r#"foo{a="foo", a_c="foo", b="BAR"}"#));
        check(rule(A::Keep, &["a"], "fo+", "", ""), Some(same));
        check(rule(A::Keep, &["a"], "o", "", ""), None);
        check(rule(A::Drop, &["a"], "fo+", "", ""), None);
        check(rule(A::Drop, &["none"], ".+", "", ""), Some(same));
        check(rule(A::KeepEqual, &["a"], "", "a_c", ""), Some(same));
        check(rule(A::KeepEqual, &["a"], "", "b", ""), None);
        check(rule(A::DropEqual, &["a"], "", "a_c", ""), None);
        check(rule(A::Lowercase, &["b"], "", "b", ""), Some(r#"m{a="foo", a_c="foo", b="bar"}"#));
        check(rule(A::Uppercase, &["a"], "", "d", ""), Some(r#"m{a="foo", a_c="foo", b="BAR", d="FOO"}"#));
        check(rule(A::LabelMap, &[], "a_(.*)", "", "got_$1"), Some(r#"m{a="foo", a_c="foo", b="BAR", got_c="foo"}"#));
        check(rule(A::LabelDrop, &[], "a.*", "", ""), Some(r#"m{b="BAR"}"#));
        check(rule(A::LabelKeep, &[], "__name__|b", "", ""), Some(r#"m{b="BAR"}"#));
        // Patterns are Go's: `\Q…\E` quotes, and a word is ASCII.
        check(rule(A::Keep, &["a"], r"\Qfoo\E", "", ""), Some(same));
        check(rule(A::Drop, &["a"], r"[[f]\w+", "", ""), None);
        // Of MD5 "acbd18db4cc2f85c edef654fccc4a4d8" the second half, modulo 1000.
        let low = (0xedef_654f_ccc4_a4d8_u64 % 1000).to_string();
        check(rule(A::HashMod, &["a"], "", "d", ""), Some(&format!(r#"m{{a="foo", a_c="foo", b="BAR", d="{low}"}}"#)));
    }

    #[test]
    fn steps_end_where_a_rule_drops() {
        let labels = Labels::new([("a", "foo")]).unwrap();
        let rules = [
            rule(RelabelAction::Uppercase, &["a"], "", "b", ""),
            rule(RelabelAction::Drop, &["b"], "FOO", "", ""),
            rule(RelabelAction::LabelDrop, &[], "a", "", ""),
        ];
        let rules: Vec<Relabel> = rules.into_iter().map(|options| Relabel::new(options).unwrap()).collect();
        let steps: Vec<_> =
            relabel_steps(&labels, &rules).unwrap().into_iter().map(|(l, keep)| (l.to_string(), keep)).collect();
        let after = r#"{a="foo", b="FOO"}"#.to_owned();
        assert_eq!(steps, [(after.clone(), true), (after, false)]);
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let fault = |options| Relabel::new(options).unwrap_err().to_string();
        let options = rule(RelabelAction::Keep, &[], "(a", "", "");
        assert!(fault(options).starts_with("\"(a\" is not a regular expression: "));
        assert_eq!(fault(rule(RelabelAction::Replace, &[], "", "", "")), "the action needs target_label");
        let options = RelabelOptions { modulus: 0, ..rule(RelabelAction::HashMod, &[], "", "d", "") };
        assert_eq!(fault(options), "hashmod needs a modulus above zero");
    }
}

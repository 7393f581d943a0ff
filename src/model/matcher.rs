//! Conditions on a label's value: `=`, `!=`, `=~`, `!~`.

use std::fmt;

use super::pattern::{Pattern, PatternError};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

/// A condition on the value of one label; an absent label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Pattern>,
}

impl Matcher {
    /// A condition on the label `name`.
    ///
    /// # Errors
    /// The operator takes a pattern and `value` is not one.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, PatternError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Match | MatchOp::NotMatch => Some(Pattern::new(value)?),
        };
        Ok(Matcher { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// The condition that `name` has exactly this value.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern: None }
    }

    /// Whether a label's value satisfies it.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => self.value == value,
            (MatchOp::NotEqual, _) => self.value != value,
            (MatchOp::Match, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotMatch, Some(pattern)) => !pattern.is_match(value),
            (MatchOp::Match | MatchOp::NotMatch, None) => unreachable!("a pattern is compiled in new"),
        }
    }

    /// The values that the value or pattern spells out, sorted, if they are few: those that satisfy it,
    /// or with `!=` and `!~` those that do not.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.pattern {
            Some(pattern) => pattern.literals(),
            None => Some(std::slice::from_ref(&self.value)),
        }
    }

    /// What each of the values begins with that the value or pattern stands for.
    pub fn prefix(&self) -> &str {
        self.pattern.as_ref().map_or(&self.value, Pattern::prefix)
    }

    /// Whether it is satisfied by what its value or pattern does not stand for: `!=` and `!~`.
    pub fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotMatch)
    }

    /// Whether every value satisfies it, the empty one too.
    pub fn matches_all(&self) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Match, Some(pattern)) => pattern.least_chars() == Some(0),
            _ => false,
        }
    }

    /// Whether every value but the empty one satisfies it: `!=""`, `=~".+"`.
    pub fn is_presence(&self) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Match, Some(pattern)) => pattern.least_chars() == Some(1),
            (MatchOp::NotEqual | MatchOp::NotMatch, _) => self.literals().is_some_and(|all| *all == [""]),
            _ => false,
        }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as written.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Match => "=~",
            MatchOp::NotMatch => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_matcher_demands_is_known() {
        use MatchOp::{Equal, Match, NotEqual, NotMatch};
        let check = |op, value: &str, literals: Option<&[&str]>, prefix: &str, all: bool, presence: bool| {
            let matcher = Matcher::new("a", op, value).unwrap();
            let found: Option<Vec<&str>> = matcher.literals().map(|all| all.iter().map(String::as_str).collect());
            let found = (found.as_deref(), matcher.prefix(), matcher.matches_all(), matcher.is_presence());
            assert_eq!(found, (literals, prefix, all, presence), "{matcher}");
        };
        check(Equal, "x", Some(&["x"]), "x", false, false);
        check(NotEqual, "", Some(&[""]), "", false, true);
        check(NotMatch, "", Some(&[""]), "", false, true);
        check(Match, ".+", None, "", false, true);
        check(Match, ".*", None, "", true, false);
        check(NotMatch, ".+", None, "", false, false);
        check(Match, "x(1|2)", Some(&["x1", "x2"]), "x", false, false);
        check(Match, "x.*", None, "x", false, false);
    }
}

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

//! The four words.

use std::fmt;

/// How customers are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Customers are fine, and it is known.
    Ok,
    /// Customers are fine, but not for long or not for sure.
    AtRisk,
    /// Customers are being hurt.
    Hurting,
    /// It is not known how customers are.
    Blind,
}

impl Verdict {
    /// All of them, in the order of precedence: the first that applies is the word.
    pub const BY_PRECEDENCE: [Verdict; 4] = [Verdict::Hurting, Verdict::Blind, Verdict::AtRisk, Verdict::Ok];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::AtRisk => "AT_RISK",
            Verdict::Hurting => "HURTING",
            Verdict::Blind => "BLIND",
        }
    }

    /// The word's verdict.
    pub fn parse(word: &str) -> Option<Verdict> {
        Verdict::BY_PRECEDENCE.into_iter().find(|verdict| verdict.as_str() == word)
    }

    /// The exit code of `evenkeel verdict`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Ok => 0,
            Verdict::AtRisk => 1,
            Verdict::Hurting => 2,
            Verdict::Blind => 3,
        }
    }

    /// Its place in [`Verdict::BY_PRECEDENCE`]: lower wins.
    pub fn rank(self) -> usize {
        match self {
            Verdict::Hurting => 0,
            Verdict::Blind => 1,
            Verdict::AtRisk => 2,
            Verdict::Ok => 3,
        }
    }

    /// The one of the two that wins.
    pub fn or_worse(self, other: Verdict) -> Verdict {
        if other.rank() < self.rank() { other } else { self }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_words_and_codes() {
        for (rank, verdict) in Verdict::BY_PRECEDENCE.into_iter().enumerate() {
            assert_eq!(verdict.rank(), rank);
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
            for lower in &Verdict::BY_PRECEDENCE[rank..] {
                assert_eq!(verdict.or_worse(*lower), verdict);
                assert_eq!(lower.or_worse(verdict), verdict);
            }
        }
        assert_eq!(Verdict::BY_PRECEDENCE.map(Verdict::exit_code), [2, 3, 1, 0]);
    }
}

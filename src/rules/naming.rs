//! Names of rules and of alerts that last: the same after a restart, a reload, and an upgrade.

use std::fmt;

use crate::model::Labels;

use super::identity::stable_hash;

/// The name of a rule: of its file, its group, its own name, and how many of that name came before in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

impl RuleId {
    /// The name of the rule with this key.
    pub(super) fn of_key(key: &str) -> RuleId {
        RuleId(stable_hash([b"rule".as_slice(), key.as_bytes()]))
    }

    /// The name of one of the rule's alerts, by the alert's labels.
    pub fn alert(self, labels: &Labels) -> AlertId {
        AlertId { rule: self, labels: stable_hash([labels.as_text().as_bytes()]) }
    }

    /// Reads what [`RuleId`] is written as.
    pub fn parse(text: &str) -> Option<RuleId> {
        parse_hex(text).map(RuleId)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The name of an alert: of its rule and its labels. An alert that comes back has the same one; what tells its
/// times apart is when it became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId {
    /// The rule.
    pub rule: RuleId,
    labels: u64,
}

impl AlertId {
    /// Reads what [`AlertId`] is written as.
    pub fn parse(text: &str) -> Option<AlertId> {
        let (rule, labels) = (text.get(..16)?, text.get(16..)?);
        Some(AlertId { rule: RuleId::parse(rule)?, labels: parse_hex(labels)? })
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.rule, self.labels)
    }
}

fn parse_hex(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_again_and_never_change() {
        let rule = RuleId::of_key("f;g;Down;1");
        let alert = rule.alert(&Labels::new([("alertname", "Down"), ("job", "a")]).unwrap());
        assert_eq!(RuleId::parse(&rule.to_string()), Some(rule));
        assert_eq!(AlertId::parse(&alert.to_string()), Some(alert));
        assert_eq!(alert.to_string().len(), 32);
        assert_eq!(rule.to_string(), "a7d6ee306b385e5c");
        for bad in ["", "1", "+000000000000001", "00000000000000000", "000000000000000g", "é00000000000000"] {
            assert_eq!(RuleId::parse(bad), None, "{bad}");
            assert_eq!(AlertId::parse(&format!("{rule}{bad}")), None, "{bad}");
        }
    }
}

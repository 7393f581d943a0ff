//! Label sets: the identity of a series.
//!
//! Invariants:
//! - Names are unique, not empty and in byte order; values are not empty (an empty label is an
//!   absent label).
//! - One allocation holds the whole set, shared by every clone.
//! - Two sets are equal exactly if their texts are equal, so equality and hashing read one slice.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::limits;

/// One name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label<'a> {
    /// The name, not empty.
    pub name: &'a str,
    /// The value, not empty.
    pub value: &'a str,
}

/// A sorted, immutable set of labels, cheap to clone.
///
/// The text is, for each label, the length of the name, the name, the length of the value and the
/// value. A length is written in digits of six bits, lowest first, each digit an ASCII character
/// whose bit 6 says that another one follows; so the whole text is valid UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// The label that holds the metric's name.
    pub const METRIC_NAME: &'static str = "__name__";

    /// Labels and annotations that say whose something is. The first that is there counts.
    pub const OWNER_NAMES: [&'static str; 3] = ["owner", "team", "squad"];

    /// The set without any label.
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// A set of these pairs, in any order; pairs with an empty value are left out.
    ///
    /// # Errors
    /// A name is empty or stands twice, or a limit is passed.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Labels, LabelsError> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        if let Some(two) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(LabelsError::Duplicate { name: head_of(two[0].0) });
        }
        pairs.retain(|(_, value)| !value.is_empty());
        if pairs.len() > limits::LABELS_PER_SERIES_MAX {
            return Err(LabelsError::TooMany { count: pairs.len() });
        }
        let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in pairs {
            if name.is_empty() {
                return Err(LabelsError::EmptyName);
            }
            if name.len() > limits::LABEL_NAME_BYTES_MAX {
                return Err(LabelsError::NameTooLong { name: head_of(name), bytes: name.len() });
            }
            if value.len() > limits::LABEL_VALUE_BYTES_MAX {
                return Err(LabelsError::ValueTooLong { name: name.to_owned(), bytes: value.len() });
            }
            push_part(&mut text, name);
            push_part(&mut text, value);
        }
        Ok(Labels(Arc::from(text)))
    }

    /// The set of pairs that another set gave, in its order.
    pub(crate) fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels {
        let mut text = String::with_capacity(pairs.clone().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in pairs {
            push_part(&mut text, name);
            push_part(&mut text, value);
        }
        Labels(Arc::from(text))
    }

    /// Reads back what [`Labels::as_text`] gave.
    ///
    /// # Errors
    /// The text is not a label set in canonical form.
    pub fn from_text(text: &str) -> Result<Labels, LabelsError> {
        let (mut rest, mut before, mut count) = (text, "", 0);
        while !rest.is_empty() {
            let name = take_part(&mut rest).ok_or(LabelsError::Malformed)?;
            let value = take_part(&mut rest).ok_or(LabelsError::Malformed)?;
            count += 1;
            // No name is empty, so the first one comes after the empty text, too.
            let sound = before < name && !value.is_empty() && count <= limits::LABELS_PER_SERIES_MAX;
            let short = name.len() <= limits::LABEL_NAME_BYTES_MAX && value.len() <= limits::LABEL_VALUE_BYTES_MAX;
            if !sound || !short {
                return Err(LabelsError::Malformed);
            }
            before = name;
        }
        Ok(Labels(Arc::from(text)))
    }

    /// The set as one text: its canonical form for storage, hashing and equality.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Label<'_>> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            let name = take_part(&mut rest)?;
            let value = take_part(&mut rest)?;
            Some(Label { name, value })
        })
    }

    /// The value of a label; an absent label has the empty value.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|label| label.name == name).map_or("", |label| label.value)
    }

    /// The metric's name, or the empty text.
    pub fn metric_name(&self) -> &str {
        self.get(Labels::METRIC_NAME)
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The labels for which `keep` holds.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Labels {
        let mut text = String::with_capacity(self.0.len());
        for label in self.iter().filter(|label| keep(label.name)) {
            push_part(&mut text, label.name);
            push_part(&mut text, label.value);
        }
        Labels(Arc::from(text))
    }

    /// The set without its metric name.
    pub fn without_metric_name(&self) -> Labels {
        self.filter(|name| name != Labels::METRIC_NAME)
    }

    /// A builder that starts from this set.
    pub fn builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect() }
    }
}

/// A set in the making: later settings win, an empty value removes.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets `name` to `value`; the empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelsBuilder {
        self.pairs.retain(|(n, _)| n != name);
        if !value.is_empty() {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut LabelsBuilder {
        self.set(name, "")
    }

    /// The value set so far, or the empty text.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The finished set.
    ///
    /// # Errors
    /// A name is empty, or a limit is passed.
    pub fn build(&self) -> Result<Labels, LabelsError> {
        Labels::new(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Labels that cannot name a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// A label without a name.
    #[error("a label name is empty; give every label a name")]
    EmptyName,
    /// The same name twice.
    #[error("label \"{name}\" stands twice; keep one")]
    Duplicate {
        /// The name, or its beginning.
        name: String,
    },
    /// More labels than a series may have.
    #[error("{count} labels on one series; at most {} are taken", limits::LABELS_PER_SERIES_MAX)]
    TooMany {
        /// How many there were.
        count: usize,
    },
    /// A name over the limit.
    #[error("label name \"{name}\" is {bytes} bytes long; at most {} are taken", limits::LABEL_NAME_BYTES_MAX)]
    NameTooLong {
        /// The beginning of the name.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A value over the limit.
    #[error("the value of label \"{name}\" is {bytes} bytes long; at most {} are taken", limits::LABEL_VALUE_BYTES_MAX)]
    ValueTooLong {
        /// The label's name.
        name: String,
        /// The length of its value.
        bytes: usize,
    },
    /// A stored text that is not in canonical form.
    #[error("the stored label text is damaged")]
    Malformed,
}

/// The beginning of a text that may be too long to be shown.
fn head_of(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn push_part(text: &mut String, part: &str) {
    let mut n = part.len();
    loop {
        let digit = (n & 0x3f) as u8;
        n >>= 6;
        text.push(char::from(if n > 0 { digit | 0x40 } else { digit }));
        if n == 0 {
            break;
        }
    }
    text.push_str(part);
}

fn take_part<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (mut n, mut shift) = (0usize, 0u32);
    let mut at = 0;
    loop {
        let digit = *rest.as_bytes().get(at)?;
        if digit >= 0x80 || shift > 24 {
            return None;
        }
        n |= usize::from(digit & 0x3f) << shift;
        shift += 6;
        at += 1;
        if digit & 0x40 == 0 {
            // A length has one form: its highest digit is not zero, save that of zero itself.
            if digit == 0 && at > 1 {
                return None;
            }
            break;
        }
    }
    let part = rest.get(at..at.checked_add(n)?)?;
    *rest = &rest[at + n..];
    Some(part)
}

impl Ord for Labels {
    /// By pairs. Neighbours in this order begin alike: the parts that lie before the first byte in which the texts
    /// differ are passed over.
    fn cmp(&self, other: &Labels) -> Ordering {
        let same = same_bytes(self.0.as_bytes(), other.0.as_bytes());
        let (mut rest, mut other_rest): (&str, &str) = (&self.0, &other.0);
        loop {
            let (before, part) = (rest, take_part(&mut rest));
            let end = self.0.len() - rest.len();
            if part.is_some() && end <= same {
                continue;
            }
            other_rest = other_rest.get(self.0.len() - before.len()..).unwrap_or("");
            return part.cmp(&take_part(&mut other_rest));
        }
    }
}

/// How many bytes at the beginning are the same.
fn same_bytes(a: &[u8], b: &[u8]) -> usize {
    const AT_ONCE: usize = 16;
    let pieces = a.as_chunks::<AT_ONCE>().0.iter().zip(b.as_chunks::<AT_ONCE>().0);
    let start = pieces.take_while(|(a, b)| a == b).count() * AT_ONCE;
    start + a[start..].iter().zip(&b[start..]).take_while(|(a, b)| a == b).count()
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// `name{label="value", …}`, as Prometheus writes a series.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let legacy = |text: &str| {
            let mut chars = text.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let plain_name = !name.is_empty() && name.split(':').all(|part| part.is_empty() || legacy(part));
        if plain_name {
            f.write_str(name)?;
        }
        let mut between = "";
        let labels = self.iter().filter(|label| !plain_name || label.name != Labels::METRIC_NAME);
        for label in labels {
            f.write_str(if between.is_empty() { "{" } else { between })?;
            between = ", ";
            if label.name == Labels::METRIC_NAME {
                write!(f, "{:?}", label.value)?;
            } else if legacy(label.name) {
                write!(f, "{}={:?}", label.name, label.value)?;
            } else {
                write!(f, "{:?}={:?}", label.name, label.value)?;
            }
        }
        match (between.is_empty(), plain_name) {
            (false, _) => f.write_str("}"),
            (true, false) => f.write_str("{}"),
            (true, true) => Ok(()),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_printed() {
        let labels = Labels::new([("job", "a"), ("__name__", "up"), ("empty", "")]).unwrap();
        assert_eq!(labels.to_string(), "up{job=\"a\"}");
        assert_eq!(labels.get("job"), "a");
        assert_eq!(labels.get("none"), "");
        assert_eq!(labels.len(), 2);
        assert_eq!(Labels::new([("__name__", "http.x")]).unwrap().to_string(), "{\"http.x\"}");
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn the_text_round_trips_at_every_length() {
        for n in [1, 63, 64, 65, 4095, 4096, 5000] {
            let value = "é".repeat(n);
            let labels = Labels::new([("a", value.as_str()), ("b", "x")]).unwrap();
            assert_eq!(Labels::from_text(labels.as_text()).unwrap(), labels);
            assert_eq!(labels.get("a"), value);
        }
    }

    #[test]
    fn damaged_texts_are_refused() {
        let labels = Labels::new([("aa", "bb"), ("cc", "dd")]).unwrap();
        let text = labels.as_text();
        for cut in 1..text.len() {
            let ok = Labels::from_text(&text[..cut]).is_ok();
            assert_eq!(ok, cut == 6, "cut at {cut}");
        }
        assert!(Labels::from_text("\u{2}cc\u{2}dd\u{2}aa\u{2}bb").is_err());
        // The same name twice, an empty name, an empty value, a length that is longer than it need be.
        for text in ["\u{1}a\u{1}b\u{1}a\u{1}c", "\0\u{1}b", "\u{1}a\0", "\u{41}\0a\u{1}b"] {
            assert_eq!(Labels::from_text(text), Err(LabelsError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn order_is_by_pairs() {
        let check = |small: &[(&str, &str)], large: &[(&str, &str)]| {
            let small = Labels::new(small.iter().copied()).unwrap();
            let large = Labels::new(large.iter().copied()).unwrap();
            assert!(small < large, "{small} < {large}");
        };
        check(&[], &[("a", "b")]);
        check(&[("a", "b")], &[("a", "bb")]);
        check(&[("a", "zz")], &[("aa", "b")]);
        check(&[("a", "b")], &[("a", "b"), ("c", "d")]);
    }

    proptest::proptest! {
        #[test]
        fn order_is_that_of_the_list_of_pairs(
            begin in proptest::collection::btree_map("[a-c]{1,3}", "[a-cé]{1,70}", 0..4),
            ends in proptest::array::uniform2(proptest::collection::btree_map("[a-f]{1,3}", "[a-c]{1,70}", 0..3)),
        ) {
            let [one, other] = ends.map(|end| {
                let pairs: std::collections::BTreeMap<_, _> = end.iter().chain(&begin).collect();
                Labels::new(pairs.into_iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap()
            });
            proptest::prop_assert_eq!(one.cmp(&other), one.iter().cmp(other.iter()));
            proptest::prop_assert_eq!(one.cmp(&one), Ordering::Equal);
        }
    }
}

//! What `label_replace` and `label_join` do to the labels of an element: the same for a query and for a rule that
//! follows its samples.

use crate::model::{Labels, Pattern};

use super::ast::{Expr, ExprKind};
use super::functions::Function;
use super::parse::quote;

/// One label, set from others.
#[derive(Debug)]
pub struct LabelChange {
    destination: String,
    source: Source,
}

/// Where the new value comes from.
#[derive(Debug)]
enum Source {
    /// Groups of a pattern that a label satisfies; of others nothing changes.
    Replaced { label: String, pattern: Box<Pattern>, replacement: String },
    /// Labels with something between them.
    Joined { labels: Vec<String>, separator: String },
}

impl LabelChange {
    /// What a call of either function does. Its arguments are those that the check of types lets pass.
    ///
    /// # Errors
    /// A name is empty, or the pattern is none.
    pub fn of(function: Function, args: &[Expr]) -> Result<LabelChange, String> {
        let texts: Vec<&str> = args.iter().skip(1).map(text_of).collect();
        let no_name = |which: &str| Err(format!("invalid {which} label name in {}(): ", function.name()));
        let (destination, source) = match (function, texts.as_slice()) {
            (Function::LabelReplace, [destination, replacement, label, text]) => {
                let pattern = Pattern::new(text)
                    .map_err(|_| format!("invalid regular expression in {}(): {text}", function.name()))?;
                let (label, replacement) = ((*label).to_owned(), (*replacement).to_owned());
                (destination, Source::Replaced { label, pattern: Box::new(pattern), replacement })
            }
            (_, [destination, separator, labels @ ..]) => {
                let labels = labels.iter().map(|label| (*label).to_owned()).collect();
                (destination, Source::Joined { labels, separator: (*separator).to_owned() })
            }
            _ => return no_name("destination"),
        };
        if destination.is_empty() {
            return no_name("destination");
        }
        if let Source::Joined { labels, .. } = &source
            && labels.iter().any(String::is_empty)
        {
            return no_name("source");
        }
        Ok(LabelChange { destination: (*destination).to_owned(), source })
    }

    /// Whether it sets the metric's name.
    pub fn sets_name(&self) -> bool {
        self.destination == Labels::METRIC_NAME
    }

    /// The labels after it; absent if they stay as they are because the pattern does not match.
    ///
    /// # Errors
    /// The new value cannot be a label's.
    pub fn apply(&self, labels: &Labels) -> Result<Option<Labels>, String> {
        let value = match &self.source {
            Source::Replaced { label, pattern, replacement } => match pattern.groups(labels.get(label)) {
                Some(groups) => groups.expand(replacement),
                None => return Ok(None),
            },
            Source::Joined { labels: sources, separator } => {
                let values: Vec<&str> = sources.iter().map(|source| labels.get(source)).collect();
                values.join(separator)
            }
        };
        let mut builder = labels.builder();
        builder.set(&self.destination, &value);
        builder.build().map(Some).map_err(|error| format!("label {}: {error}", quote(&self.destination)))
    }
}

/// The text of an argument that the check found to be a string.
pub(super) fn text_of(arg: &Expr) -> &str {
    match &arg.without_parens().kind {
        ExprKind::String(text) => text,
        _ => "",
    }
}

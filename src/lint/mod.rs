//! What is likely wrong with rules that can be used.
//!
//! Layer 3. Imports: `model`, `promql`, `rules`.
//! Does not know: files, HTTP, the store.
//!
//! Each lint looks at one rule, its expression, and, where [`Facts`] are given, at what is stored. A finding is a
//! guess with reasons: it never keeps a rule from being used.

mod bounds;
mod cost;
mod counters;
mod labels;
mod rules;

pub use cost::{Facts, SelectorCost, selector_costs};
pub use rules::lint;

/// Something that is likely wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which lint found it.
    pub lint: Lint,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Declares the lints once: variant, name, and what it looks for.
macro_rules! lints {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// A lint.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each says what it looks for by itself")]
        pub enum Lint { $($variant,)* }

        impl Lint {
            /// Every lint.
            pub const ALL: &'static [Lint] = &[$(Lint::$variant,)*];

            /// The name by which it is switched off.
            pub fn name(self) -> &'static str {
                match self { $(Lint::$variant => $name,)* }
            }

            /// What it looks for.
            pub fn about(self) -> &'static str {
                match self { $(Lint::$variant => $about,)* }
            }
        }
    };
}

lints! {
    MissingOwner "missing-owner" "an alert without a label or annotation owner, team or squad"
    MissingRunbook "missing-runbook" "an alert without an annotation runbook_url or runbook"
    CounterWithoutRate "counter-without-rate" "a counter's value used as it is"
    RateOfGauge "rate-of-gauge" "rate, increase, irate or resets of a gauge"
    RateOfSum "rate-of-sum" "rate of counters that were added up before"
    NeverTrue "never-true" "a comparison that no value can satisfy"
    AlwaysTrue "always-true" "a comparison that every value satisfies"
    NoCondition "no-condition" "an alert whose expression compares nothing"
    ForBelowInterval "for-below-interval" "for shorter than the interval at which the rule is evaluated"
    LabelGone "label-gone" "a template that names a label which the expression drops"
    DuplicateRule "duplicate-rule" "two rules of a group with the same name, labels and expression"
    Expensive "expensive" "a rule that reads much at each evaluation, or all series"
    MatchesNothing "matches-nothing" "a selector that no stored series satisfies (needs --data or --url)"
    WindowTooShort "window-too-short" "a rate whose window holds fewer than two samples (needs --data or --url)"
}

impl Lint {
    /// The lint of a name.
    pub fn from_name(name: &str) -> Option<Lint> {
        Lint::ALL.iter().copied().find(|lint| lint.name() == name)
    }
}

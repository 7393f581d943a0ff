//! Services that must be covered, and what they lack so that nobody would see or hear of their failures.

use crate::model::{Matcher, Timestamp};

use super::coverage::remedy;
use super::judgement::{Fact, Reason};
use super::verdict::Verdict;

/// Which services must be covered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CriticalServices {
    /// The services of all series that satisfy all of these; without any, none is critical by its series.
    pub matchers: Vec<Matcher>,
    /// The services of these names, whether a series names them or not.
    pub declared: Vec<DeclaredService>,
}

/// A service that is declared by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredService {
    /// Its name.
    pub name: String,
    /// Whose it is, if that is said.
    pub owner: Option<String>,
}

impl CriticalServices {
    /// Whether nothing says which services are critical.
    pub fn is_empty(&self) -> bool {
        self.matchers.is_empty() && self.declared.is_empty()
    }

    /// Its matchers in one text: `tier="critical"`.
    pub fn matchers_text(&self) -> String {
        self.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What a critical service lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalGap {
    /// The service.
    pub service: String,
    /// What it lacks.
    pub lacks: Lacks,
    /// What makes it critical, in words.
    pub because: String,
    /// Since when it lacks it, as far as is known.
    pub since: Timestamp,
}

/// What a critical service must not be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacks {
    /// Nothing says what its customers may expect.
    Objective,
    /// Nothing of it can page.
    Page,
    /// Its pages lead to nobody.
    Route,
}

impl Lacks {
    /// As gaps of coverage are called.
    pub fn as_str(self) -> &'static str {
        match self {
            Lacks::Objective => "objective",
            Lacks::Page => "page",
            Lacks::Route => "route",
        }
    }

    /// The code of the reason.
    pub(super) fn code(self) -> String {
        format!("critical-no-{}", self.as_str())
    }
}

/// Why a critical service is blind.
pub(super) fn critical_reason(gap: &CriticalGap) -> Reason {
    let name = &gap.service;
    let text = match gap.lacks {
        Lacks::Objective => {
            format!("{name} is critical and has no objective: nothing says what its customers may expect")
        }
        Lacks::Page => format!("{name} is critical and nothing of it can page"),
        Lacks::Route => format!("{name} is critical and no route leads from its pages to anybody"),
    };
    let code = gap.lacks.code();
    let evidence = vec![Fact::new("critical", gap.because.clone()), Fact::new("remedy", remedy(&code))];
    Reason {
        verdict: Verdict::Blind,
        service: Some(name.clone()),
        code,
        subject: name.clone(),
        text,
        since: gap.since,
        query: None,
        evidence,
    }
}

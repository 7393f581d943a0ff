//! Alerts that fired, what became of them, and what people said of them.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::model::{Labels, Millis, Timestamp};
use crate::slo::{Episode, Spending};

use super::evidence::Deploy;

/// An alert may begin to fire so long after an episode's last bad event and have told of it: a scrape and what is waited
/// for late halves of a ratio.
const GRACE: Millis = Millis::minutes(2);
/// So long after an alert's end it is known whether an episode comes of what it told of.
const SETTLED: Millis = Millis::hours(1);

/// Which time an alert fired: a hash of its labels and of when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiredId(pub u64);

impl FiredId {
    /// The name of what fired with these labels at that instant.
    pub fn of(labels: &Labels, at: Timestamp) -> FiredId {
        let mut hash = SipHasher13::new();
        hash.write(labels.as_text().as_bytes());
        hash.write_i64(at.0);
        FiredId(hash.finish())
    }

    /// The name of an episode.
    pub fn of_episode(episode: &Episode) -> FiredId {
        let mut hash = SipHasher13::new();
        for text in [&episode.service, &episode.objective, &episode.group.to_string()] {
            hash.write(text.as_bytes());
            hash.write_u8(0);
        }
        hash.write_i64(episode.start.0);
        FiredId(hash.finish())
    }

    /// What [`FiredId`] shows as.
    pub fn parse(text: &str) -> Option<FiredId> {
        let id = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)?;
        Some(FiredId(id))
    }
}

impl fmt::Display for FiredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whom an alert interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody now.
    Page,
    /// Somebody, some time.
    Ticket,
    /// Nobody by itself.
    Note,
}

impl Urgency {
    /// All of them.
    pub const ALL: [Urgency; 3] = [Urgency::Page, Urgency::Ticket, Urgency::Note];

    /// By the label `severity`, as the verdict reads it.
    pub fn of(labels: &Labels) -> Urgency {
        match labels.get("severity") {
            "page" | "critical" => Urgency::Page,
            "ticket" | "warning" => Urgency::Ticket,
            _ => Urgency::Note,
        }
    }

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Urgency::Page => "page",
            Urgency::Ticket => "ticket",
            Urgency::Note => "note",
        }
    }
}

/// What a person says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeLabel {
    /// It was right to tell.
    Useful,
    /// Nothing was wrong that anybody had to hear of.
    Noise,
    /// Another one had told of it.
    Duplicate,
    /// It was right, and customers had suffered for long.
    TooLate,
    /// Somebody tried it.
    Test,
}

impl OutcomeLabel {
    /// All of them.
    pub const ALL: [OutcomeLabel; 5] =
        [OutcomeLabel::Useful, OutcomeLabel::Noise, OutcomeLabel::Duplicate, OutcomeLabel::TooLate, OutcomeLabel::Test];

    /// The word used everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeLabel::Useful => "useful",
            OutcomeLabel::Noise => "noise",
            OutcomeLabel::Duplicate => "duplicate",
            OutcomeLabel::TooLate => "too-late",
            OutcomeLabel::Test => "test",
        }
    }

    /// The label that a word names.
    pub fn parse(word: &str) -> Option<OutcomeLabel> {
        OutcomeLabel::ALL.into_iter().find(|label| label.as_str() == word)
    }
}

/// What was said of an alert, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The label.
    pub label: OutcomeLabel,
    /// Who says so; may be empty.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in own words; may be empty.
    pub note: String,
}

/// Somebody who was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldTo {
    /// The receiver.
    pub receiver: String,
    /// When it took the message.
    pub at: Timestamp,
}

/// An alert, one time that it fired.
#[derive(Debug, Clone, PartialEq)]
pub struct FiredAlert {
    /// Its name.
    pub id: FiredId,
    /// Its labels.
    pub labels: Labels,
    /// What it said.
    pub summary: String,
    /// When it began to fire.
    pub at: Timestamp,
    /// When that ended.
    pub ended: Option<Timestamp>,
    /// Whom it interrupts.
    pub urgency: Urgency,
    /// The objectives, by service and name, of whose episodes it can have told. Without any only people can say
    /// whether it was right.
    pub about: Vec<(String, String)>,
    /// What these had spent too fast when it began to fire.
    pub spent: Vec<Spending>,
    /// Who was told that it fires.
    pub told: Vec<ToldTo>,
    /// What people say of it.
    pub outcome: Option<Outcome>,
}

/// An episode that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownEpisode {
    /// Its name.
    pub id: FiredId,
    /// What happened.
    pub episode: Episode,
    /// Deploys of its service from an hour before it on.
    pub deploys: Vec<Deploy>,
}

/// What the machine says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It told of this episode.
    Episode(FiredId),
    /// There was none.
    NoEpisode,
    /// It will be known when it is over.
    Open,
    /// No objective measures what it told of.
    Unmeasured,
}

impl Truth {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::Episode(_) => "episode",
            Truth::NoEpisode => "no-episode",
            Truth::Open => "open",
            Truth::Unmeasured => "unmeasured",
        }
    }
}

impl KnownEpisode {
    /// The first page that told of it.
    pub fn first_page<'a>(&self, alerts: &'a [FiredAlert], now: Timestamp) -> Option<&'a FiredAlert> {
        let pages = alerts.iter().filter(|a| a.urgency == Urgency::Page && !a.disowned() && a.tells_of(self, now));
        pages.min_by_key(|page| page.at)
    }

    /// The share of the budget that it had spent when an alert began to fire.
    pub fn spent_at(&self, alert: &FiredAlert) -> f64 {
        let episode = &self.episode;
        let same = |spent: &&Spending| {
            (&spent.service, &spent.objective, &spent.group) == (&episode.service, &episode.objective, &episode.group)
        };
        let noted = alert.spent.iter().find(same).map(|spent| spent.spent);
        // Before the episode nothing of it was spent, after it all.
        noted.unwrap_or(if alert.at <= episode.start { 0.0 } else { episode.spent })
    }
}

impl FiredAlert {
    /// Whether it may have told of this episode.
    pub fn tells_of(&self, known: &KnownEpisode, now: Timestamp) -> bool {
        let episode = &known.episode;
        let end = if episode.over { episode.last + GRACE } else { now };
        self.about.iter().any(|(service, name)| *service == episode.service && *name == episode.objective)
            && self.at <= end
            && self.ended.unwrap_or(now) >= episode.start
    }

    /// What the machine says of it.
    pub fn truth(&self, episodes: &[KnownEpisode], now: Timestamp) -> Truth {
        if self.about.is_empty() {
            return Truth::Unmeasured;
        }
        match episodes.iter().find(|known| self.tells_of(known, now)) {
            Some(known) => Truth::Episode(known.id),
            None if self.ended.is_some_and(|ended| now - ended >= SETTLED) => Truth::NoEpisode,
            None => Truth::Open,
        }
    }

    /// Whether it was right to tell: by what people say, otherwise by the machine. Absent if it is not known, or if
    /// that is not the question: of tests and duplicates.
    pub fn right(&self, episodes: &[KnownEpisode], now: Timestamp) -> Option<bool> {
        match self.outcome.as_ref().map(|outcome| outcome.label) {
            Some(OutcomeLabel::Useful | OutcomeLabel::TooLate) => Some(true),
            Some(OutcomeLabel::Noise) => Some(false),
            Some(OutcomeLabel::Duplicate | OutcomeLabel::Test) => None,
            None => match self.truth(episodes, now) {
                Truth::Episode(_) => Some(true),
                Truth::NoEpisode => Some(false),
                Truth::Open | Truth::Unmeasured => None,
            },
        }
    }

    /// Whether people say that it told nobody of anything.
    pub(super) fn disowned(&self) -> bool {
        matches!(self.outcome.as_ref().map(|outcome| outcome.label), Some(OutcomeLabel::Noise | OutcomeLabel::Test))
    }
}

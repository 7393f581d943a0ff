//! What happens in the demo, and what is told of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::confidence::{Judgement, Verdict};
use crate::db::Db;
use crate::env::{Clock, ManualClock, SystemClock};
use crate::model::{Millis, Timestamp};
use crate::testkit::Shop;

use super::pager::{Page, Pager};
use super::{pace, say};

/// Virtual time between two samples.
const STEP: Millis = Millis::seconds(5);
/// How long all is well before the deploy.
const CALM: Millis = Millis::minutes(4);
/// How long the bad version stays after the page.
const REACTION: Millis = Millis::minutes(2);
/// The share of requests that the bad version fails.
const BAD_ERROR_RATIO: f64 = 0.18;
/// The share that the good versions fail.
const GOOD_ERROR_RATIO: f64 = 0.0002;
/// How long the story may take until it is given up: something is wrong then.
const STORY_MAX: Millis = Millis::hours(2);

/// Everything that the story needs.
pub(super) struct Story {
    pub(super) db: Db,
    pub(super) clock: Arc<ManualClock>,
    pub(super) real: Arc<SystemClock>,
    pub(super) shop: Shop,
    pub(super) pager: Pager,
    pub(super) speed: f64,
    pub(super) page: String,
}

/// A transaction that was sent.
struct Sent {
    /// The log's time of it.
    at: Timestamp,
    /// Whose samples it carried.
    service: &'static str,
    /// The real time just before it was sent.
    begun: Duration,
}

/// Where the story is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Chapter {
    /// Evidence is gathered.
    Blind,
    /// All is well until then.
    Calm { until: Timestamp },
    /// The bad version is live, nobody has been told yet.
    Deployed,
    /// The page has come; the version stays until then.
    Paged { until: Timestamp },
    /// The old version is back.
    RolledBack,
    /// The story is told.
    Over,
}

impl Story {
    pub(super) async fn run(mut self, exit: bool) -> anyhow::Result<()> {
        say(format_args!("the pages are at {}   (time runs {} times as fast; Ctrl-C ends)\n", self.page, self.speed))?;
        let mut at = self.db.now();
        let end = at + STORY_MAX;
        let mut chapter = Chapter::Blind;
        let mut verdict = None;
        self.tell_verdict(at, &mut verdict)?;
        // When the last samples were sent, to find the one that decided a page.
        let mut sent: VecDeque<Sent> = VecDeque::new();
        loop {
            at = at + STEP;
            self.step(at, &mut sent).await?;
            let word = self.tell_verdict(at, &mut verdict)?;
            let mut paged = false;
            while let Ok(page) = self.pager.pages.try_recv() {
                paged |= page.firing && page.severity == "page";
                self.tell_page(at, &page, &sent)?;
            }
            chapter = self.turn(chapter, at, word, paged)?;
            if chapter == Chapter::Over && exit {
                return Ok(());
            }
            anyhow::ensure!(
                exit || chapter == Chapter::Over || at < end,
                "the story does not go on; please report this"
            );
            anyhow::ensure!(!exit || at < end, "the story did not end; please report this");
            tokio::time::sleep(pace(STEP, self.speed)).await;
        }
    }

    /// One step of the shop's life: timers up to then, then one transaction a service.
    async fn step(&mut self, at: Timestamp, sent: &mut VecDeque<Sent>) -> anyhow::Result<()> {
        self.clock.set(at.0);
        let services: Vec<_> = self.shop.services().collect();
        let batches = self.shop.step(at, STEP);
        let (db, real) = (self.db.clone(), Arc::clone(&self.real));
        let appended = tokio::task::spawn_blocking(move || {
            db.time_moved();
            let mut times = Vec::new();
            for (service, batch) in services.into_iter().zip(batches) {
                let begun = real.elapsed();
                let at = db.append(batch)?.at;
                times.push(Sent { at, service, begun });
            }
            anyhow::Ok(times)
        })
        .await??;
        sent.extend(appended);
        while sent.len() > 64 {
            sent.pop_front();
        }
        // The page of this step's samples, if they decided one, is on its way; let it arrive.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    }

    fn turn(&mut self, chapter: Chapter, at: Timestamp, verdict: Verdict, paged: bool) -> anyhow::Result<Chapter> {
        Ok(match chapter {
            Chapter::Blind if verdict == Verdict::Ok => Chapter::Calm { until: at + CALM },
            Chapter::Calm { until } if at >= until => {
                self.tell(at, format_args!("checkout v2 is deployed"))?;
                self.db.mark_deploy("checkout", "v2")?;
                self.shop.set_error_ratio("checkout", BAD_ERROR_RATIO);
                Chapter::Deployed
            }
            Chapter::Deployed if paged => Chapter::Paged { until: at + REACTION },
            Chapter::Paged { until } if at >= until => {
                self.tell(at, format_args!("checkout is rolled back to v1"))?;
                self.db.mark_deploy("checkout", "v1")?;
                self.shop.set_error_ratio("checkout", GOOD_ERROR_RATIO);
                Chapter::RolledBack
            }
            Chapter::RolledBack if verdict == Verdict::Ok => {
                say(format_args!("\nthat is the story. The pages stay up at {}", self.page))?;
                Chapter::Over
            }
            other => other,
        })
    }

    /// Tells the verdict if it is another one than before, with its reason.
    fn tell_verdict(&self, at: Timestamp, before: &mut Option<Verdict>) -> anyhow::Result<Verdict> {
        let judgement = self.db.judgement();
        if *before != Some(judgement.overall) {
            *before = Some(judgement.overall);
            self.tell(at, format_args!("{}", judgement.overall))?;
            self.tell_why(&judgement)?;
        }
        Ok(judgement.overall)
    }

    /// The first reason, or, if all is well, what is known for certain.
    fn tell_why(&self, judgement: &Judgement) -> anyhow::Result<()> {
        match judgement.reasons.first() {
            Some(reason) => {
                let service = reason.service.as_deref().unwrap_or("everything");
                say(format_args!("                      {service}: {}", reason.text))
            }
            None => judgement
                .proof
                .iter()
                .try_for_each(|fact| say(format_args!("                      {}: {}", fact.name, fact.value))),
        }
    }

    fn tell(&self, at: Timestamp, what: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
        let clock = at.to_string();
        say(format_args!("{}  {:>6.1} s  {what}", &clock[11..19], self.real.elapsed().as_secs_f64()))
    }

    fn tell_page(&self, at: Timestamp, page: &Page, sent: &VecDeque<Sent>) -> anyhow::Result<()> {
        if !page.firing {
            return self.tell(at, format_args!("RESOLVED: the pager is told that {} is fine again", page.service));
        }
        self.tell(at, format_args!("{}: {}", page.severity.to_uppercase(), page.summary))?;
        let fired = Timestamp::parse_rfc3339(&page.starts_at);
        let decided = |sent: &&Sent| sent.service == page.service && Some(sent.at) == fired;
        if let Some(sent) = sent.iter().find(decided) {
            let ms = page.arrived.saturating_sub(sent.begun).as_secs_f64() * 1e3;
            say(format_args!(
                "                      arrived {ms:.1} ms after its decisive sample was sent, synced to disk in between"
            ))?;
        }
        Ok(())
    }
}

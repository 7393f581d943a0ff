//! The record of alerts that fired and of episodes, with who was told and what people say of them.
//!
//! Invariants:
//! - What the log decides is known by names that a replay finds again: taking it twice changes nothing.
//! - It is written and synced before an outcome is acknowledged. What the log decided is known before the sender of its
//!   sample is answered, and written before the log lets go of it; what could not be written is tried again.
//! - It decides nothing: a disk that cannot write it disturbs nobody.
//! - The newest alerts and episodes are kept, in bounded memory; the file is written anew before it is twice as long.

mod format;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backtest::LocalTime;
use crate::confidence::{
    Accuracy, Deploy, FiredAlert, FiredId, KnownEpisode, Outcome, OutcomeLabel, Record, ToldTo, Urgency, accuracy,
};
use crate::env::disk::{Disk, DiskFile};
use crate::model::{Labels, Millis, Seq, TimeRange, Timestamp, Transition, TransitionKind, limits};
use crate::slo::{AlertSeverity, Companion, Episode, Objectives};

use super::Db;
use super::core::Core;
use super::decided::Decided;
use super::ingest::Inner;
use format::Entry;

const FILE: &str = "episodes.log";
const NEXT: &str = "episodes.tmp";

/// Deploys so long before an episode are told with it.
const DEPLOY_BEFORE: Millis = Millis::hours(1);
/// Deploys, objectives and receivers that are told with one alert or episode.
const LISTED_MAX: usize = 20;
/// So long after an alert began or ended it is asked who was told.
const TOLD_WITHIN: Millis = Millis::minutes(10);
/// As long as nobody was told, it is asked so long.
const TOLD_AT_ALL_WITHIN: Millis = Millis::days(1);
/// Alerts of which that is asked at once.
const ASKED_MAX: usize = 200;

/// What the log decided.
#[derive(Debug)]
pub(super) enum Happened {
    Fired(Box<FiredAlert>, Box<Decided>),
    Ended(FiredId, Timestamp),
    Episode(Box<KnownEpisode>, Box<Decided>),
}

/// An outcome that is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum OutcomeError {
    /// There is no such alert.
    #[error("no alert {0} is remembered; `evenkeel episodes --alerts` lists those that are")]
    Unknown(String),
    /// It cannot be written.
    #[error("the outcome cannot be recorded: {0}; free space or repair the disk, then say it again")]
    Disk(#[from] io::Error),
}

/// What is remembered.
pub(super) struct Episodes {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// In the order in which they became known, each with the bytes that it takes in the file.
    alerts: VecDeque<(FiredAlert, usize)>,
    episodes: VecDeque<(KnownEpisode, usize)>,
    /// By what they were decided.
    decided: HashMap<FiredId, (Decided, usize)>,
    /// Bytes of what is remembered.
    bytes: usize,
    file: Option<Box<dyn DiskFile>>,
    file_bytes: usize,
    unwritten: Vec<u8>,
}

impl Episodes {
    /// Reads what is recorded.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Episodes {
        let mut episodes = Episodes {
            disk,
            dir: dir.join("episodes"),
            alerts: VecDeque::new(),
            episodes: VecDeque::new(),
            decided: HashMap::new(),
            bytes: 0,
            file: None,
            file_bytes: 0,
            unwritten: Vec::new(),
        };
        let path = episodes.dir.join(FILE);
        match episodes.disk.read(&path) {
            Ok(bytes) => episodes.load(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!("{}: earlier episodes cannot be read: {error}", path.display()),
        }
        episodes
    }

    fn load(&mut self, bytes: &[u8]) {
        let contents = format::read(bytes);
        if contents.damaged > 0 {
            let (damaged, path) = (contents.damaged, self.dir.display());
            tracing::warn!("{path}: {damaged} bytes are no alerts or episodes and were passed over");
        }
        for entry in contents.entries {
            match entry {
                Entry::Alert(alert) => self.put_alert(*alert),
                Entry::Episode(known) => self.put_episode(*known),
                Entry::Decided(id, decided) => self.put_decided(id, *decided),
            }
        }
        // What says by what one was decided that is forgotten by now says nothing.
        let mut known: HashSet<FiredId> = self.alerts.iter().map(|(alert, _)| alert.id).collect();
        known.extend(self.episodes.iter().map(|(episode, _)| episode.id));
        let gone: Vec<FiredId> = self.decided.keys().filter(|id| !known.contains(*id)).copied().collect();
        gone.into_iter().for_each(|id| self.forget_decided(id));
        self.unwritten.clear();
        self.file_bytes = bytes.len();
    }

    /// Takes what the log decided; [`Episodes::write`] writes it.
    pub(super) fn take(&mut self, happened: Vec<Happened>) {
        for one in happened {
            match one {
                // A replay decides again what is known.
                Happened::Fired(alert, _) if self.alert(alert.id).is_some() => {}
                Happened::Fired(alert, decided) => {
                    let id = alert.id;
                    self.put_alert(*alert);
                    self.put_decided(id, *decided);
                }
                Happened::Ended(id, at) => {
                    if let Some(alert) = self.alert(id).filter(|alert| alert.ended.is_none()) {
                        let alert = FiredAlert { ended: Some(at), ..alert.clone() };
                        self.put_alert(alert);
                    }
                }
                Happened::Episode(known, decided) => self.take_episode(*known, *decided),
            }
        }
    }

    /// An episode that is known already by some of its time is the same one.
    fn take_episode(&mut self, mut known: KnownEpisode, decided: Decided) {
        let new = &known.episode;
        let same = |(old, _): &&(KnownEpisode, usize)| {
            let old = &old.episode;
            (&old.service, &old.objective, &old.group) == (&new.service, &new.objective, &new.group)
                && old.start <= new.last
                && (!old.over || new.start <= old.last)
        };
        if let Some((old, _)) = self.episodes.iter().rev().find(same) {
            known.id = old.id;
            known.episode.start = known.episode.start.min(old.episode.start);
            known.episode.watched |= old.episode.watched;
            if *old == known {
                return;
            }
        }
        let id = known.id;
        self.put_episode(known);
        self.put_decided(id, decided);
    }

    fn alert(&self, id: FiredId) -> Option<&FiredAlert> {
        self.alerts.iter().rev().map(|(alert, _)| alert).find(|alert| alert.id == id)
    }

    fn put_alert(&mut self, alert: FiredAlert) {
        let content = format::alert(&alert);
        let place = self.alerts.iter().rposition(|(old, _)| old.id == alert.id);
        self.bytes += content.len();
        match place {
            Some(place) => self.bytes -= std::mem::replace(&mut self.alerts[place], (alert, content.len())).1,
            None => self.alerts.push_back((alert, content.len())),
        }
        self.note(&content);
    }

    fn put_episode(&mut self, known: KnownEpisode) {
        let content = format::episode(&known);
        let place = self.episodes.iter().rposition(|(old, _)| old.id == known.id);
        self.bytes += content.len();
        match place {
            Some(place) => self.bytes -= std::mem::replace(&mut self.episodes[place], (known, content.len())).1,
            None => self.episodes.push_back((known, content.len())),
        }
        self.note(&content);
    }

    fn put_decided(&mut self, id: FiredId, decided: Decided) {
        let content = format::decided(id, &decided);
        self.bytes += content.len();
        if let Some((_, old)) = self.decided.insert(id, (decided, content.len())) {
            self.bytes -= old;
        }
        self.note(&content);
    }

    fn forget_decided(&mut self, id: FiredId) {
        self.bytes -= self.decided.remove(&id).map_or(0, |(_, bytes)| bytes);
    }

    /// By what an alert or an episode was decided, if that is recorded.
    pub(super) fn decided(&self, id: FiredId) -> Option<&Decided> {
        self.decided.get(&id).map(|(decided, _)| decided)
    }

    /// Notes what is to be written, and forgets the oldest of what is too much.
    fn note(&mut self, content: &[u8]) {
        if self.unwritten.len() < limits::EPISODES_FILE_BYTES_MAX {
            format::write(&mut self.unwritten, content);
        }
        while self.alerts.len() > limits::FIRED_ALERTS_MAX || self.bytes > limits::EPISODES_FILE_BYTES_MAX / 2 {
            let Some((alert, bytes)) = self.alerts.pop_front() else { break };
            self.bytes -= bytes;
            self.forget_decided(alert.id);
        }
        while self.episodes.len() > limits::EPISODES_MAX {
            let Some((known, bytes)) = self.episodes.pop_front() else { break };
            self.bytes -= bytes;
            self.forget_decided(known.id);
        }
    }

    /// Writes what is not written yet.
    pub(super) fn write(&mut self) {
        if let Err(error) = self.try_write() {
            tracing::warn!("{}: alerts and episodes cannot be recorded: {error}; tried again", self.dir.display());
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // What a failed write left behind is damage that is passed over; a new file has none of it.
        let mut file = match self.file.take() {
            // Too much waited to be noted one by one.
            _ if self.unwritten.len() >= limits::EPISODES_FILE_BYTES_MAX => return self.rewrite(),
            Some(file) if self.file_bytes <= limits::EPISODES_FILE_BYTES_MAX => file,
            None if self.file_bytes > 0 && self.file_bytes <= limits::EPISODES_FILE_BYTES_MAX => {
                self.disk.append(&self.dir.join(FILE))?
            }
            _ => return self.rewrite(),
        };
        file.write_all(&self.unwritten)?;
        file.sync()?;
        self.file_bytes += self.unwritten.len();
        self.unwritten.clear();
        self.file = Some(file);
        Ok(())
    }

    /// Writes a file that holds what is remembered and nothing else in the place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.bytes);
        self.episodes.iter().for_each(|(known, _)| format::write(&mut bytes, &format::episode(known)));
        self.alerts.iter().for_each(|(alert, _)| format::write(&mut bytes, &format::alert(alert)));
        let known =
            self.episodes.iter().map(|(known, _)| known.id).chain(self.alerts.iter().map(|(alert, _)| alert.id));
        for (id, decided) in known.filter_map(|id| Some((id, self.decided(id)?))) {
            format::write(&mut bytes, &format::decided(id, decided));
        }
        self.disk.create_dir(&self.dir)?;
        let [path, next] = [FILE, NEXT].map(|name| self.dir.join(name));
        let mut file = self.disk.create(&next)?;
        file.write_all(&bytes)?;
        file.sync()?;
        self.disk.rename(&next, &path)?;
        self.disk.sync_dir(&self.dir)?;
        self.file_bytes = bytes.len();
        self.unwritten.clear();
        self.file = Some(file);
        Ok(())
    }

    /// Says of an alert what became of it.
    fn label(&mut self, id: FiredId, outcome: Outcome) -> Result<FiredAlert, OutcomeError> {
        let Some(old) = self.alert(id).cloned() else { return Err(OutcomeError::Unknown(id.to_string())) };
        let alert = FiredAlert { outcome: Some(outcome), ..old.clone() };
        self.put_alert(alert.clone());
        if let Err(error) = self.try_write() {
            self.put_alert(old);
            return Err(OutcomeError::Disk(error));
        }
        Ok(alert)
    }

    /// Alerts of which it may not be known yet who was told.
    fn unasked(&self, now: Timestamp) -> Vec<(FiredId, Labels)> {
        let recent = |(alert, _): &&(FiredAlert, usize)| {
            let since = now - alert.ended.unwrap_or(alert.at).max(alert.at);
            let within = if alert.told.is_empty() { TOLD_AT_ALL_WITHIN } else { TOLD_WITHIN };
            alert.ended.is_none() && now - alert.at <= within || since <= TOLD_WITHIN
        };
        let found = self.alerts.iter().rev().filter(recent).take(ASKED_MAX);
        found.map(|(alert, _)| (alert.id, alert.labels.clone())).collect()
    }

    /// Notes who was told of an alert, each the first time.
    fn told(&mut self, id: FiredId, told: Vec<ToldTo>) {
        let Some(alert) = self.alert(id) else { return };
        let mut alert = alert.clone();
        let before = alert.told.len();
        for one in told.into_iter().filter(|one| one.at >= alert.at).collect::<Vec<_>>() {
            if alert.told.len() < LISTED_MAX && alert.told.iter().all(|known| known.receiver != one.receiver) {
                alert.told.push(one);
            }
        }
        if alert.told.len() > before {
            self.put_alert(alert);
        }
    }

    /// Alerts that began in a span, oldest first.
    fn alerts_within(&self, range: TimeRange) -> Vec<FiredAlert> {
        self.alerts.iter().map(|(alert, _)| alert).filter(|alert| range.contains(alert.at)).cloned().collect()
    }

    /// Everything that is remembered.
    fn all(&self) -> (Vec<FiredAlert>, Vec<KnownEpisode>) {
        let alerts = self.alerts.iter().map(|(alert, _)| alert.clone()).collect();
        (alerts, self.episodes.iter().map(|(known, _)| known.clone()).collect())
    }
}

impl Core {
    /// Notes what has happened with a log entry, for the record.
    pub(super) fn note_happened(&mut self, seq: Seq, transitions: &[Transition]) {
        for transition in transitions {
            let alert = &transition.alert;
            let id = FiredId::of(&alert.labels, alert.fired_at.unwrap_or(alert.active_at));
            match transition.kind {
                TransitionKind::Firing => {
                    let grounds = self.objectives.grounds(&alert.labels, transition.at);
                    let told = (alert.expr.as_str(), alert.value);
                    let decided = self.definitions.decided((seq, transition.at), &alert.labels, told, grounds);
                    self.happened.push(Happened::Fired(Box::new(self.fired(transition, id)), Box::new(decided)));
                }
                TransitionKind::Resolved => self.happened.push(Happened::Ended(id, transition.at)),
                TransitionKind::Pending | TransitionKind::Dropped => {}
            }
        }
        for episode in self.objectives.take_episodes() {
            let deploys = self.deploys_around(&episode);
            let id = FiredId::of_episode(&episode);
            let names = [("service", episode.service.as_str()), ("slo", episode.objective.as_str())];
            // Both passed the limits as labels of the objective's alerts.
            let labels = Labels::new(names).unwrap_or_else(|_| Labels::empty());
            let told = ("", episode.burn);
            let decided = self.definitions.decided((seq, episode.last), &labels, told, None);
            let known = KnownEpisode { id, episode, deploys };
            self.happened.push(Happened::Episode(Box::new(known), Box::new(decided)));
        }
    }

    fn fired(&self, transition: &Transition, id: FiredId) -> FiredAlert {
        let (alert, objectives) = (&transition.alert, &self.objectives);
        let mut about = about(objectives, &alert.labels);
        about.truncate(LISTED_MAX);
        let mut spent = objectives.spending(&about, transition.at);
        spent.truncate(LISTED_MAX);
        let texts = ["summary", "description", "message"].map(|name| alert.annotations.get(name));
        let urgency = match objectives.severity(&alert.labels) {
            Some(AlertSeverity::Page) => Urgency::Page,
            Some(AlertSeverity::Ticket) => Urgency::Ticket,
            Some(AlertSeverity::Log) => Urgency::Note,
            None => Urgency::of(&alert.labels),
        };
        FiredAlert {
            id,
            labels: alert.labels.clone(),
            summary: cut(texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()),
            at: alert.fired_at.unwrap_or(transition.at),
            ended: None,
            urgency,
            about,
            spent,
            told: Vec::new(),
            outcome: None,
        }
    }

    fn deploys_around(&self, episode: &Episode) -> Vec<Deploy> {
        let around = self.deploys.list().into_iter().filter(|deploy| {
            deploy.service == episode.service && deploy.at >= episode.start - DEPLOY_BEFORE && deploy.at <= episode.last
        });
        let mut deploys: Vec<Deploy> =
            around.map(|deploy| Deploy { service: deploy.service, version: deploy.version, at: deploy.at }).collect();
        deploys.drain(..deploys.len().saturating_sub(LISTED_MAX));
        deploys
    }
}

/// What an alert can have told of. That requests stopped, or that nothing is left, is true or not whatever an episode is.
fn about(objectives: &Objectives, labels: &Labels) -> Vec<(String, String)> {
    let apart = [Companion::Vanished, Companion::Exhausted].map(Companion::alert_name);
    if apart.contains(&labels.get("alertname")) { Vec::new() } else { objectives.about(labels) }
}

/// A text of at most [`limits::FIRED_TEXT_BYTES_MAX`] bytes.
fn cut(text: &str) -> String {
    let mut end = text.len().min(limits::FIRED_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl Inner {
    /// Notes who was told of what fired lately, and writes what is not written yet.
    pub(super) fn note_told(&self) {
        let unasked = self.episodes.lock().unasked(self.now());
        for (id, labels) in unasked {
            let told = self.notifier.told_of(&labels).into_iter().filter(|(_, what, _)| *what == "firing");
            let told: Vec<ToldTo> = told.map(|(receiver, _, at)| ToldTo { receiver, at }).collect();
            if !told.is_empty() {
                self.episodes.lock().told(id, told);
            }
        }
        self.episodes.lock().write();
    }
}

impl Db {
    /// Alerts that began to fire in a span, oldest first, with who was told and what people say of them.
    pub fn fired_alerts(&self, range: TimeRange) -> Vec<FiredAlert> {
        self.inner.episodes.lock().alerts_within(range)
    }

    /// Episodes that began in a span, or went on in it, oldest first.
    pub fn episodes(&self, range: TimeRange) -> Vec<KnownEpisode> {
        let (_, mut episodes) = self.remembered();
        episodes.retain(|known| {
            let episode = &known.episode;
            episode.start <= range.until && (!episode.over || episode.last > range.after)
        });
        episodes.sort_by_key(|known| known.episode.start);
        episodes
    }

    /// How good the alerts of a span were; `local` tells the responder's time.
    pub fn accuracy(&self, range: TimeRange, local: &dyn Fn(Timestamp) -> LocalTime) -> Accuracy {
        let (alerts, episodes) = self.remembered();
        let targets = *self.inner.accuracy_targets.lock();
        let record = Record { now: self.inner.now(), range, targets, alerts: &alerts, episodes: &episodes };
        accuracy(&record, local)
    }

    /// Records what a person says of an alert that fired; what was said before is no more.
    ///
    /// # Errors
    /// There is no such alert, or it cannot be written.
    pub fn label_alert(
        &self,
        id: FiredId,
        label: OutcomeLabel,
        by: &str,
        note: &str,
    ) -> Result<FiredAlert, OutcomeError> {
        let outcome = Outcome { label, by: cut(by), at: self.inner.now(), note: cut(note) };
        self.inner.episodes.lock().label(id, outcome)
    }

    /// By what an alert that fired, or an episode, was decided, if that is recorded.
    pub fn decided(&self, id: FiredId) -> Option<Decided> {
        self.inner.episodes.lock().decided(id).cloned()
    }

    /// What is remembered, and of episodes that go on how they stand. One whose objective is watched no more is over.
    fn remembered(&self) -> (Vec<FiredAlert>, Vec<KnownEpisode>) {
        let (alerts, mut episodes) = self.inner.episodes.lock().all();
        let open = self.inner.core.lock().objectives.open_episodes(self.inner.now());
        for known in episodes.iter_mut().filter(|known| !known.episode.over) {
            let old = &known.episode;
            let same = |live: &&Episode| {
                (&live.service, &live.objective, &live.group) == (&old.service, &old.objective, &old.group)
            };
            known.episode = match open.iter().find(same) {
                Some(live) => Episode { start: live.start.min(old.start), watched: old.watched, ..live.clone() },
                None => Episode { over: true, ..old.clone() },
            };
        }
        (alerts, episodes)
    }
}

#[cfg(test)]
mod tests {
    use super::format::tests::{decided, fired, known};
    use super::*;
    use crate::env::disk::MemoryDisk;

    fn open(disk: &MemoryDisk) -> Episodes {
        Episodes::open(Arc::new(disk.clone()), Path::new("/db"))
    }

    /// As the database does.
    fn take(episodes: &mut Episodes, happened: Vec<Happened>) {
        episodes.take(happened);
        episodes.write();
    }

    fn take_fired(episodes: &mut Episodes, at: i64) {
        take(episodes, vec![Happened::Fired(Box::new(fired(at)), Box::new(decided(at)))]);
    }

    #[test]
    fn what_is_decided_twice_is_known_once_and_survives() {
        let disk = MemoryDisk::new();
        let mut episodes = open(&disk);
        take_fired(&mut episodes, 10);
        let id = fired(10).id;
        let useful = Outcome { label: OutcomeLabel::Useful, by: "b".into(), at: Timestamp(9), note: "n".into() };
        let labelled = episodes.label(id, useful.clone()).unwrap();
        // A replay.
        take_fired(&mut episodes, 10);
        take(&mut episodes, vec![Happened::Ended(id, Timestamp(40)), Happened::Ended(id, Timestamp(50))]);
        episodes.told(id, vec![ToldTo { receiver: "x".into(), at: Timestamp(12) }]);
        episodes.write();
        let again = open(&disk);
        let mut expected = FiredAlert { ended: Some(Timestamp(40)), ..labelled };
        expected.told.push(ToldTo { receiver: "x".into(), at: Timestamp(12) });
        assert_eq!(again.all().0, [expected]);
        assert_eq!(again.decided(id), Some(&decided(10)), "the first one counts");
        assert_eq!(again.all().0[0].outcome, Some(useful.clone()));
        let unknown = episodes.label(FiredId(7), useful).unwrap_err().to_string();
        assert!(unknown.starts_with("no alert 0000000000000007 is remembered"), "{unknown}");
    }

    #[test]
    fn an_episode_that_is_found_again_is_the_same_one() {
        let disk = MemoryDisk::new();
        let mut episodes = open(&disk);
        let found = |start: i64, last: i64, over: bool, watched: bool| {
            let mut one = known(start);
            (one.episode.last, one.episode.over, one.episode.watched) = (Timestamp(last), over, watched);
            one.id = FiredId::of_episode(&one.episode);
            Happened::Episode(Box::new(one), Box::new(decided(start)))
        };
        take(&mut episodes, vec![found(100, 120, false, true)]);
        take(&mut episodes, vec![found(100, 180, true, true)]);
        // Counted again from what is stored, a little otherwise.
        take(&mut episodes, vec![found(98, 181, true, false), found(300, 310, true, false)]);
        let spans = |episodes: &Episodes| -> Vec<_> {
            let all = episodes.all().1;
            all.iter().map(|one| (one.episode.start.0, one.episode.last.0, one.episode.watched)).collect()
        };
        assert_eq!(spans(&episodes), [(98, 181, true), (300, 310, false)]);
        assert_eq!(spans(&open(&disk)), spans(&episodes));
    }

    #[test]
    fn a_full_disk_refuses_outcomes_and_delays_the_rest() {
        let disk = MemoryDisk::new();
        let mut episodes = open(&disk);
        take_fired(&mut episodes, 1);
        disk.set_capacity(Some(disk.used_bytes()));
        take_fired(&mut episodes, 2);
        let noise = Outcome { label: OutcomeLabel::Noise, by: String::new(), at: Timestamp(9), note: String::new() };
        let refused = episodes.label(fired(1).id, noise.clone()).unwrap_err().to_string();
        assert!(refused.starts_with("the outcome cannot be recorded: "), "{refused}");
        assert_eq!(episodes.alert(fired(1).id), Some(&fired(1)));
        disk.set_capacity(None);
        episodes.write();
        assert_eq!(open(&disk).all().0, [fired(1), fired(2)]);
        episodes.label(fired(1).id, noise.clone()).unwrap();
        assert_eq!(open(&disk).alert(fired(1).id).unwrap().outcome, Some(noise));
    }

    #[test]
    fn memory_and_file_are_bounded() {
        let disk = MemoryDisk::new();
        let mut episodes = open(&disk);
        let many = limits::FIRED_ALERTS_MAX as i64;
        let text = "x".repeat(700);
        for n in 0..3 * many {
            let alert = FiredAlert { summary: text.clone(), ..fired(n) };
            take(&mut episodes, vec![Happened::Fired(Box::new(alert), Box::new(decided(n)))]);
        }
        assert!(episodes.alerts.len() <= limits::FIRED_ALERTS_MAX);
        assert!(episodes.bytes <= limits::EPISODES_FILE_BYTES_MAX / 2);
        assert_eq!(episodes.alerts.back().unwrap().0.at, Timestamp(3 * many - 1));
        assert!(disk.used_bytes() < 2 * limits::EPISODES_FILE_BYTES_MAX as u64, "{}", disk.used_bytes());
        let again = open(&disk);
        assert_eq!(again.all().0, episodes.all().0);
        assert_eq!(again.decided.len(), again.alerts.len());
        assert_eq!((again.bytes, &again.decided), (episodes.bytes, &episodes.decided));
    }
}

//! Scraping into a real database: what a query says of a target that lives, changes and goes.

use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, Threads};
use evenkeel::env::ManualClock;
use evenkeel::model::Timestamp;
use evenkeel::promql::{Answer, EvalOptions};
use evenkeel::scrape::{Collect, Health, LocalJob, Scraper, Sink};

use super::{INTERVAL, TEXT, job, serve};

struct Rig {
    db: Db,
    scraper: Scraper,
    clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let mut options = DbOptions::new(dir.path());
        options.threads = Threads::None;
        options.clock = Arc::<ManualClock>::clone(&clock);
        let db = Db::open(options).unwrap();
        let sink: Arc<dyn Sink> = Arc::new(db.clone());
        let scraper = Scraper::new(sink, Arc::<ManualClock>::clone(&clock)).unwrap();
        Rig { db, scraper, clock, _dir: dir }
    }

    /// One interval on, and until every target speaks of a scrape in it.
    async fn round(&self) {
        let before = self.db.now();
        self.clock.advance(INTERVAL.0);
        self.scraper.clock_moved();
        while self.scraper.targets().iter().any(|target| target.last_scrape.is_none_or(|at| at <= before)) {
            tokio::task::yield_now().await;
        }
    }

    fn ask(&self, text: &str) -> Vec<(String, f64)> {
        self.ask_at(text, self.db.now())
    }

    fn ask_at(&self, text: &str, at: Timestamp) -> Vec<(String, f64)> {
        let answer = self.db.query(text, at, &EvalOptions::default()).unwrap();
        match answer {
            Answer { value: evenkeel::promql::Value::Vector(series), .. } => {
                series.iter().map(|one| (one.labels.to_string(), one.number().unwrap())).collect()
            }
            other => panic!("not a vector: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_targets_life_can_be_queried() {
    let (site, address) = serve().await;
    let rig = Rig::new();
    site.says("200 OK", TEXT, b"requests_total{code=\"200\"} 5\nrequests_total{code=\"500\"} 1\n");
    let local = LocalJob {
        name: "evenkeel".to_owned(),
        instance: "here".to_owned(),
        interval: INTERVAL,
        source: Arc::new(rig.db.clone()),
    };
    rig.scraper.reload(&[job(&address)], &[local]).await.unwrap();
    rig.round().await;
    assert_eq!(rig.ask("sum(requests_total)"), [("{}".to_owned(), 6.0)]);
    assert_eq!(rig.ask("sum(up)"), [("{}".to_owned(), 2.0)]);
    assert!(!rig.db.collect(rig.db.now()).is_empty());
    assert!(!rig.ask("{job=\"evenkeel\", __name__=~\"evenkeel_.*\"}").is_empty());

    // One series vanishes: at once, not after the lookback.
    site.says("200 OK", TEXT, b"requests_total{code=\"200\"} 7\n");
    rig.round().await;
    assert_eq!(rig.ask("sum(requests_total)"), [("{}".to_owned(), 7.0)]);

    // The target fails: its series end, `up` says why.
    site.says("500 Oops", TEXT, b"");
    rig.round().await;
    assert_eq!(rig.ask("sum(requests_total)"), []);
    assert_eq!(rig.ask("sum by (job) (up{job=\"shop\"})"), [("{job=\"shop\"}".to_owned(), 0.0)]);
    let shop = rig.scraper.targets().into_iter().find(|target| target.job == "shop").unwrap();
    assert_eq!(shop.health, Health::Down);

    // The target is removed: `up` ends too, and the history stays.
    let before = rig.db.now();
    rig.scraper.reload(&[], &[]).await.unwrap();
    rig.clock.advance(1000);
    assert_eq!(rig.ask("up"), []);
    assert_eq!(rig.ask_at("count(up{job=\"shop\"})", before), [("{}".to_owned(), 1.0)]);
    rig.scraper.stop().await;
}

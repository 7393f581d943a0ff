//! `POST /-/reload` with files that cannot be used: the answer names the place, and what was in force stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::config::Config;
use evenkeel::db::{Db, DbOptions, Threads, Watch};
use evenkeel::env::disk::{MemoryDisk, RealDisk};
use evenkeel::env::{ManualClock, RealHost};
use evenkeel::server::{Doors, NoSetup, NoTargets, Reload, ServerOptions, ServerState};

use super::client::{get, send};
use super::running::{NOW_MS, Running};
use super::shop::batch;

/// A configuration directory and the database that follows it.
struct Followed {
    path: PathBuf,
    db: Db,
}

impl Reload for Followed {
    fn reload(&self) -> Result<(), String> {
        let config = Config::load(&RealDisk, &self.path).map_err(|error| error.to_string())?;
        self.db.reload(watch(config)).map_err(|error| error.to_string())
    }
}

fn watch(config: Config) -> Watch {
    Watch { groups: config.rule_groups, objectives: config.objectives, ..Watch::default() }
}

fn put(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

const CONFIG: &str = "rule_files: [rules.yml]\n";
const RULES: &str = "groups:\n  - name: first\n    rules:\n      - alert: Down\n        expr: up == 0\n";

async fn start(dir: &Path) -> (Running, Db) {
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let path = dir.join("prometheus.yml");
    let mut options = DbOptions::new("/db");
    options.disk = Arc::new(MemoryDisk::new());
    options.threads = Threads::None;
    options.clock = Arc::clone(&clock) as _;
    options.watch = watch(Config::load(&RealDisk, &path).unwrap());
    let db = Db::open(options).unwrap();
    let reload = Some(Arc::new(Followed { path, db: db.clone() }) as Arc<dyn Reload>);
    let doors =
        Doors { targets: Arc::new(NoTargets), reload, clock, host: Arc::new(RealHost), setup: Arc::new(NoSetup) };
    let state = ServerState::new(doors, ServerOptions::default());
    state.ready(db.clone());
    (Running::with(state).await, db)
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "prometheus.yml", CONFIG);
    put(dir.path(), "rules.yml", RULES);
    let (server, db) = start(dir.path()).await;
    db.append(batch(&[(&[("__name__", "up")], NOW_MS, 0.0)])).unwrap();
    let in_force = async || get(server.address, "/api/v1/rules").await.json()["data"]["groups"][0]["name"].clone();
    let firing = async || get(server.address, "/api/v1/alerts").await.json()["data"]["alerts"][0]["state"].clone();
    let cases = [
        (
            "scrape_configz: []\n",
            RULES,
            "prometheus.yml:1:1: unknown key \"scrape_configz\" in the configuration; did you mean \"scrape_configs\"?",
        ),
        (CONFIG, "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(\n", "rules.yml:5:19: "),
        (CONFIG, "groups: [\n", "rules.yml:"),
        ("rule_files: [gone.yml]\n", RULES, "gone.yml"),
    ];
    for (config, rules, part) in cases {
        put(dir.path(), "prometheus.yml", config);
        put(dir.path(), "rules.yml", rules);
        let answer = send(server.address, "POST", "/-/reload", &[], b"").await;
        assert_eq!(answer.status, 500, "{config}");
        let verdict = get(server.address, "/api/v1/verdict").await.json()["data"]["reasons"].take();
        let told = verdict.as_array().unwrap().iter().find(|reason| reason["code"] == "reload-failed").unwrap().clone();
        assert!(told["verdict"] == "BLIND" && told["text"].as_str().unwrap().contains(part), "{told}");
        assert!(answer.text().starts_with("failed to reload config: "), "{}", answer.text());
        assert!(answer.text().contains(part), "{part}: {}", answer.text());
        assert_eq!((in_force().await, firing().await), ("first".into(), "firing".into()), "{config}");
    }
    put(dir.path(), "prometheus.yml", CONFIG);
    put(dir.path(), "rules.yml", &RULES.replace("first", "second"));
    assert_eq!(send(server.address, "POST", "/-/reload", &[], b"").await.status, 200);
    assert_eq!(in_force().await, "second");
    assert!(!get(server.address, "/api/v1/verdict").await.text().contains("reload-failed"));
}

//! What is stored, asked by queries: of a running server, ours or a Prometheus, or of a stopped database.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::ask;
use crate::env::disk::{Disk, RealDisk};
use crate::lint::Facts;
use crate::model::{Matcher, Millis, Timestamp};
use crate::promql::{EvalOptions, Query};
use crate::storage::{Store, StoreOptions};

/// How far back of the newest sample a series counts as there.
const RECENT: &str = "1d";

/// What is stored.
pub(super) struct StoredFacts {
    from: From,
    /// Answers by query.
    known: RefCell<HashMap<String, Option<u64>>>,
    types: BTreeMap<String, String>,
}

enum From {
    Server(String),
    Directory { store: Box<Store>, at: Timestamp },
}

impl StoredFacts {
    /// Of a database that no process has open.
    pub(super) fn of_directory(dir: &Path) -> anyhow::Result<StoredFacts> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        super::inspect::check_database(&*disk, dir)?;
        // What is kept is the server's configuration to say, which this command does not read.
        let options = StoreOptions { retention: Millis(i64::MAX / 4), ..StoreOptions::default() };
        let (store, mut replay) = Store::open(disk, dir, options)?;
        while replay.next()?.is_some() {}
        let at = store.snapshot().at();
        let from = From::Directory { store: Box::new(store), at };
        Ok(StoredFacts { from, known: RefCell::default(), types: BTreeMap::new() })
    }

    /// Of a running server.
    pub(super) fn of_server(url: &str) -> anyhow::Result<StoredFacts> {
        let answer = super::runtime()?.block_on(ask::get(url, "/api/v1/metadata"))?;
        let of = |(name, entries): (&String, &Value)| Some((name.clone(), entries[0]["type"].as_str()?.to_owned()));
        let types = answer.as_object().into_iter().flatten().filter_map(of).collect();
        Ok(StoredFacts { from: From::Server(url.to_owned()), known: RefCell::default(), types })
    }

    /// The number that a query gives; nothing if it cannot be asked, zero if it has no result.
    fn number(&self, query: &str) -> Option<u64> {
        if let Some(known) = self.known.borrow().get(query) {
            return *known;
        }
        let answer = match &self.from {
            From::Server(url) => super::runtime()
                .ok()
                .and_then(|runtime| runtime.block_on(ask::post(url, "/api/v1/query", &[("query", query)])).ok()),
            From::Directory { store, at } => {
                let source = crate::db::stored(store);
                let answer = Query::new(query).ok().and_then(|q| q.instant(&source, *at, &EvalOptions::default()).ok());
                answer.and_then(|answer| {
                    let whole: Value = serde_json::from_str(&crate::server::answer_json(answer)).ok()?;
                    Some(whole["data"].clone())
                })
            }
        };
        let number = answer.and_then(|data| match data["result"].as_array()?.first() {
            None => Some(0),
            Some(element) => element["value"][1].as_str()?.parse::<f64>().ok().map(|v| v as u64),
        });
        self.known.borrow_mut().insert(query.to_owned(), number);
        number
    }
}

fn braces(matchers: &[Matcher]) -> String {
    let matchers: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", matchers.join(","))
}

impl Facts for StoredFacts {
    fn series(&self, matchers: &[Matcher]) -> Option<u64> {
        self.number(&format!("count(present_over_time({}[{RECENT}]))", braces(matchers)))
    }

    fn samples(&self, matchers: &[Matcher], back: Millis) -> Option<u64> {
        self.number(&format!("sum(count_over_time({}[{back}]))", braces(matchers)))
    }

    fn most_samples(&self, matchers: &[Matcher], back: Millis) -> Option<u64> {
        self.number(&format!("max(count_over_time({}[{back}]))", braces(matchers)))
    }

    fn metric_type(&self, name: &str) -> Option<String> {
        self.types.get(name).cloned()
    }
}

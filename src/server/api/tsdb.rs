//! `status/tsdb`: how many series there are, and which names and values they have.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::model::{Labels, TimeRange};
use crate::storage::BlockStatus;

use super::query::refuse;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Entries of each list unless asked otherwise, and at most; as in Prometheus.
const ENTRIES: usize = 10;
const ENTRIES_MAX: usize = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tsdb {
    head_stats: Head,
    series_count_by_metric_name: Vec<Count>,
    label_value_count_by_label_name: Vec<Count>,
    memory_in_bytes_by_label_name: Vec<Count>,
    series_count_by_label_value_pair: Vec<Count>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    num_series: u64,
    num_label_pairs: usize,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
}

#[derive(Serialize)]
struct Count {
    name: String,
    value: usize,
}

/// `GET /api/v1/status/tsdb`
pub(super) async fn tsdb(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let wrong = || ApiError::new(ErrorType::BadData, "limit must be a positive number");
    let entries = match params.get("limit") {
        None => ENTRIES,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if limit > 0 => limit.min(ENTRIES_MAX),
            Ok(_) | Err(_) => return Err(wrong()),
        },
    };
    let found = state.search(|db| (db.status().store, db.series(&[], TimeRange::ALL))).await?;
    let (status, series) = (found.0, found.1.map_err(refuse)?);
    let counts = Counts::of(&series);
    Ok(success(Tsdb {
        head_stats: Head {
            num_series: status.series,
            num_label_pairs: counts.pairs.len(),
            chunk_count: status.blocks,
            min_time: status.first_sample.map_or(i64::MAX, |t| t.0),
            max_time: status.last_sample.map_or(i64::MIN, |t| t.0),
        },
        series_count_by_metric_name: top(counts.metrics, entries),
        label_value_count_by_label_name: top(
            counts.values.into_iter().map(|(name, values)| (name, values.len())).collect(),
            entries,
        ),
        memory_in_bytes_by_label_name: top(counts.bytes, entries),
        series_count_by_label_value_pair: top(counts.pairs, entries),
    }))
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<BlockJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockJson {
    ulid: String,
    min_time: i64,
    max_time: i64,
    stats: BlockStats,
    compaction: Compaction,
    version: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStats {
    num_samples: u64,
    num_series: u32,
    num_bytes: u64,
}

#[derive(Serialize)]
struct Compaction {
    level: u32,
    sources: [String; 1],
}

impl BlockJson {
    fn new(block: &BlockStatus) -> BlockJson {
        // A block's name is a number; in this form it sorts as a ULID does.
        let ulid = format!("{:026}", block.number);
        BlockJson {
            min_time: block.first.0,
            // Prometheus' blocks end before this instant.
            max_time: block.last.0.saturating_add(1),
            stats: BlockStats { num_samples: block.samples, num_series: block.series, num_bytes: block.bytes },
            compaction: Compaction { level: u32::from(block.level) + 1, sources: [ulid.clone()] },
            ulid,
            version: 1,
        }
    }
}

/// `GET /api/v1/status/tsdb/blocks`
pub(super) async fn blocks(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let blocks = state.ask(|db| db.blocks()).await?;
    Ok(success(Blocks { blocks: blocks.iter().map(BlockJson::new).collect() }))
}

#[derive(Serialize)]
struct Replay {
    min: u64,
    max: u64,
    current: u64,
}

/// `GET /api/v1/status/walreplay`: answered before the log is replayed too; nothing is known then.
pub(super) async fn replay(State(state): State<ServerState>) -> Response {
    let segments = state.ask(|db| db.status().store.wal_segments).await.unwrap_or(0);
    success(Replay { min: 0, max: segments, current: segments })
}

#[derive(Default)]
struct Counts<'a> {
    metrics: BTreeMap<String, usize>,
    values: BTreeMap<String, BTreeSet<&'a str>>,
    pairs: BTreeMap<String, usize>,
    /// Bytes of each name's values, one for each series, as Prometheus counts them.
    bytes: BTreeMap<String, usize>,
}

impl Counts<'_> {
    fn of(series: &[Labels]) -> Counts<'_> {
        let mut counts = Counts::default();
        for labels in series {
            for label in labels.iter() {
                if label.name == Labels::METRIC_NAME {
                    *counts.metrics.entry(label.value.to_owned()).or_default() += 1;
                }
                *counts.bytes.entry(label.name.to_owned()).or_default() += label.value.len();
                counts.values.entry(label.name.to_owned()).or_default().insert(label.value);
                *counts.pairs.entry(format!("{}={}", label.name, label.value)).or_default() += 1;
            }
        }
        counts
    }
}

/// The largest counts.
fn top(counts: BTreeMap<String, usize>, entries: usize) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.into_iter().map(|(name, value)| Count { name, value }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.value));
    counts.truncate(entries);
    counts
}

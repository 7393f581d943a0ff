//! Every bound of the system, and how they hang together.
//!
//! A full queue or an oversized input gets an answer; nothing grows without an end.

use super::time::Millis;

/// The largest seq, and the largest number of a file, that is believed: a number may be damaged, and one has to
/// be able to count on from it.
pub const STORED_NUMBER_MAX: u64 = 1 << 62;
/// Labels on one series. Real series carry 5 to 30.
pub const LABELS_PER_SERIES_MAX: usize = 128;
/// Bytes of a label's name.
pub const LABEL_NAME_BYTES_MAX: usize = 1024;
/// Bytes of a label's value. Kubernetes annotations reach a few kilobytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Characters of all names and values of an exemplar's labels, as OpenMetrics says.
pub const EXEMPLAR_LABEL_CHARS_MAX: usize = 128;
/// Exemplars that are kept unless told otherwise, of all series together, as in Prometheus.
pub const EXEMPLARS_MAX: usize = 100_000;
/// Metric families whose descriptions are kept. Large clusters have some ten thousand.
pub const METADATA_FAMILIES_MAX: usize = 100_000;
/// Different descriptions of one family that are kept: targets in different versions.
pub const METADATA_PER_FAMILY_MAX: usize = 8;
/// Bytes of a description that are kept.
pub const METADATA_TEXT_BYTES_MAX: usize = 4096;
/// Deletes that may wait to be worked off: each is looked at for every series that is read.
pub const TOMBSTONES_MAX: usize = 1000;
/// Changes of when the counting of series began, of all series together, where they are kept. At about 50 bytes
/// each they take 500 MB; a series has one for each start of its process.
pub const START_CHANGES_MAX: usize = 10_000_000;
/// Such changes of one series: a process that is started anew every ten minutes is followed for ten hours.
pub const START_CHANGES_PER_SERIES_MAX: usize = 64;
/// Series that are active at once. At about 250 bytes each they take 12 GB, so most machines are
/// better off with less.
pub const ACTIVE_SERIES_MAX: u64 = 50_000_000;
/// Spellings under which a series is found besides that of its labels: each sender has one way to
/// write, and few senders bring the same series.
pub const SERIES_ALIASES_MAX: u8 = 4;
/// Values that a pattern may spell out and still be taken as a list of them.
pub const PATTERN_LITERALS_MAX: usize = 4096;
/// Bytes of such values on the way.
pub const PATTERN_LITERAL_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the canonical text of a series' labels: the three above, and the lengths in the text.
pub const LABELS_TEXT_BYTES_MAX: usize = LABELS_PER_SERIES_MAX * (LABEL_NAME_BYTES_MAX + LABEL_VALUE_BYTES_MAX + 6);
/// Bytes that background work on blocks writes in a second unless told otherwise. A tenth of what a cheap
/// solid-state disk takes, and a hundred times what a million samples a second give it to do.
pub const COMPACTION_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;
/// Rules on which series are downsampled when: each is looked at for every block that grows old.
pub const DOWNSAMPLE_RULES_MAX: usize = 16;
/// The shortest interval for which one sample is kept; below, nothing is saved.
pub const DOWNSAMPLE_RESOLUTION_MIN: Millis = Millis::seconds(1);
/// The longest one.
pub const DOWNSAMPLE_RESOLUTION_MAX: Millis = Millis::days(1);
/// Buckets of a native histogram. Clients keep to 160 unless told otherwise.
pub const HISTOGRAM_BUCKETS_MAX: usize = 4096;
/// Spans of a native histogram on one side of zero: no more than buckets, which may be one each.
pub const HISTOGRAM_SPANS_MAX: usize = 4096;
/// Counts of buckets of all histograms of one chunk: a vector of the largest, 32 MiB.
pub const HISTOGRAM_CHUNK_COUNTS_MAX: usize = 1024 * HISTOGRAM_BUCKETS_MAX;
/// Native histograms of one transaction; senders put at most a few thousand into one.
pub const HISTOGRAMS_PER_BATCH_MAX: usize = 100_000;
/// Buckets, spans and bounds of all native histograms of one transaction: 32 MiB. Those of a usual
/// request, 2000 histograms, are a tenth of it.
pub const HISTOGRAM_PARTS_PER_BATCH_MAX: usize = 4 << 20;
/// How far a sample may lie ahead of the clock; Prometheus believes ten minutes too.
pub const FUTURE_MAX: Millis = Millis::minutes(10);
/// How far the clock may lie behind the log's last entry without a word. More is no drift.
pub const CLOCK_BEHIND_MAX: Millis = Millis::seconds(5);
/// Bytes of a compressed request body.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a body after decompression; Prometheus refuses more than 32 MB too.
pub const BODY_DECODED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Samples of one transaction: a body of the size above with samples of 17 bytes, about the least
/// that an honest sender needs. A hostile one could say a sample in two bytes.
pub const SAMPLES_PER_BATCH_MAX: usize = 2_000_000;
/// Exemplars of one write request; senders put at most a few thousand into one.
pub const EXEMPLARS_PER_BATCH_MAX: usize = 100_000;
/// Entries on metric families of one write request; senders put at most a few thousand into one.
pub const METADATA_PER_BATCH_MAX: usize = 100_000;
/// Bytes of memory for one decompressed body that are kept for the next: a large request of an
/// ordinary sender, 10,000 samples, takes two million.
pub const BODY_ROOM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pieces of such memory that are kept: as many as are decoded at once on many cores.
pub const BODY_ROOMS_MAX: usize = 16;
/// Batches that wait for the writer.
pub const WRITE_QUEUE_MAX: usize = 1024;
/// Batches that share one sync of the log.
pub const GROUP_COMMIT_MAX: usize = 256;
/// Points of a series in the answer to a range query, as in Prometheus.
pub const RANGE_POINTS_MAX: i64 = 11_000;
/// Samples that one query may hold in memory, as in Prometheus.
pub const QUERY_SAMPLES_MAX: usize = 50_000_000;
/// Samples that all queries together may hold: twice what one may, some two gigabytes.
pub const QUERIES_SAMPLES_MAX: usize = 2 * QUERY_SAMPLES_MAX;
/// Depth of nesting that the parser follows; deeper text is refused before the stack is used up.
pub const QUERY_DEPTH_MAX: usize = 128;
/// Bytes of a query's text.
pub const QUERY_BYTES_MAX: usize = 256 * 1024;
/// Memory that answers to range queries may take which are kept for the next refresh of a dashboard.
pub const RESULTS_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// What is older than this by the log's time when it comes is late: it changes answers that are kept. Scrapes and
/// senders that keep up are well within it; a longer time would leave more steps of each answer to be evaluated again.
pub const SETTLED_AFTER: Millis = Millis::minutes(1);
/// Changes of the past that are remembered of one kind of metrics: of a sender that lags, those of half an hour.
pub const CHANGES_PER_BUCKET_MAX: usize = 64;
/// How far back an instant selector looks for a sample.
pub const LOOKBACK: Millis = Millis::minutes(5);
/// Objectives that are watched.
pub const OBJECTIVES_MAX: usize = 10_000;
/// Series that one objective counts; further ones are refused and shown as such.
pub const OBJECTIVE_SERIES_MAX: usize = 100_000;
/// Groups of an objective with a budget of their own, unless it says otherwise. One takes up to 260 KB over 30 days.
pub const OBJECTIVE_GROUPS: usize = 100;
/// What an objective may say at most.
pub const OBJECTIVE_GROUPS_MAX: usize = 10_000;
/// Further groups of an objective that are known by name, so that the largest of them can take a place that is free.
pub const OBJECTIVE_GROUPS_BEYOND: usize = 1000;
/// Rows of the severity table.
pub const SEVERITY_ROWS_MAX: usize = 100;
/// Parts of a composite.
pub const OBJECTIVE_PARTS_MAX: usize = 100;
/// Slices of time of an objective that can still be amended by what comes late: of one minute, those of four hours.
pub const OBJECTIVE_SLICES_MAX: usize = 256;
/// Spans of adjustments whose events are known.
pub const OBJECTIVE_EXCLUDED_MAX: usize = 100;
/// Adjustments of one objective.
pub const OBJECTIVE_ADJUSTMENTS_MAX: usize = 100;
/// Edges of a calendar at which the counts of an objective are kept: a year of months.
pub const OBJECTIVE_EDGES_MAX: usize = 13;
/// How long an objective remembers a series that gives no sample, and a target of which no series does. A
/// rollback within days and a daily job go on where they were; what comes back later begins anew.
pub const OBJECTIVE_MEMORY: Millis = Millis::days(7);
/// Instants of one objective whose increases wait for their time or for their other half.
pub const OBJECTIVE_WAITING_MAX: usize = 4096;
/// Samples that a warm start from stored history holds in memory at once.
pub const SEED_SAMPLES_MAX: usize = 2_000_000;
/// Notifications that wait in the outbox, as in Prometheus' queue.
pub const OUTBOX_MAX: usize = 10_000;
/// Bytes of one record of the log. A request's body decodes to half as much at the most.
pub const LOG_RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest wait between two attempts to reach a receiver.
pub const NOTIFY_BACKOFF_MAX: Millis = Millis::minutes(1);
/// The longest `Retry-After` of a receiver that is obeyed.
pub const NOTIFY_RETRY_AFTER_MAX: Millis = Millis::minutes(15);
/// Bytes of a receiver's answer that are read: enough for its reason.
pub const RECEIVER_ANSWER_BYTES_MAX: usize = 4096;
/// Bytes of one record of the outbox.
pub const OUTBOX_RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes after which the outbox is rewritten without what is settled.
pub const OUTBOX_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Alerts in one request to an Alertmanager, as in Prometheus.
pub const ALERTMANAGER_BATCH_MAX: usize = 256;
/// Bytes of a configuration file.
pub const CONFIG_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Connections that the server keeps open; Prometheus keeps 512.
pub const CONNECTIONS_MAX: usize = 1024;
/// Header fields of one request. Browsers and proxies send 10 to 40.
pub const HEADERS_MAX: usize = 100;
/// Bytes of a request's head; a query in the URL may be long.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 128;
/// Bytes of all header fields of one HTTP/2 request.
pub const HTTP2_HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Time for a request's head to arrive.
pub const HEADER_TIMEOUT: Millis = Millis::seconds(10);
/// Time that a connection may rest; longer than the usual scrape and write intervals.
pub const IDLE_TIMEOUT: Millis = Millis::seconds(75);
/// Time for a peer to take the next part of an answer.
pub const WRITE_TIMEOUT: Millis = Millis::seconds(30);
/// Time for requests in flight to finish at shutdown.
pub const DRAIN_TIMEOUT: Millis = Millis::seconds(10);
/// Time between two parts of a body.
pub const BODY_PAUSE: Millis = Millis::seconds(10);
/// Time for a whole body.
pub const BODY_TIMEOUT: Millis = Millis::seconds(60);
/// Bytes of all bodies that are in memory at once.
pub const BODY_MEMORY_MAX: usize = 256 * 1024 * 1024;
/// Writes that are with the database at once; more wait in their senders.
pub const WRITES_AT_ONCE_MAX: usize = 64;
/// Queries that are with the database at once, as in Prometheus.
pub const QUERIES_AT_ONCE_MAX: usize = 20;
/// Questions about the server's own state that are with the database at once; each takes microseconds.
pub const QUESTIONS_AT_ONCE_MAX: usize = 20;
/// Queries that wait for their turn; a dashboard full of panels, opened by several people.
pub const QUERIES_WAITING_MAX: usize = 256;
/// Samples up to which queries run side by side; twenty of them hold about 640 MB at the most. Larger
/// ones run one at a time.
pub const QUERY_SAMPLES_SMALL: usize = 2_000_000;
/// How long a query may take without being logged.
pub const QUERY_SLOW: Millis = Millis::seconds(5);
/// Bytes of a query's text in the log.
pub const QUERY_LOGGED_BYTES_MAX: usize = 2048;
/// Peers that follow the server's notifications at once, as in Prometheus.
pub const NOTIFICATION_SUBSCRIBERS_MAX: usize = 16;
/// Queries in one remote-read request; senders ask one.
pub const READ_QUERIES_MAX: usize = 64;
/// Samples of a remote-read answer in one message, which has to be whole in memory; a stream has no such limit.
pub const READ_SAMPLES_MAX: usize = 10_000_000;
/// Bytes of one frame of a remote-read stream, as in Prometheus.
pub const READ_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Time that one query may take, as in Prometheus.
pub const QUERY_TIMEOUT: Millis = Millis::minutes(2);
/// Bytes of a parameter form; a query, matchers and times fit many times.
pub const FORM_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(FORM_BYTES_MAX <= BODY_BYTES_MAX && BODY_BYTES_MAX <= BODY_MEMORY_MAX);
const _: () = assert!(BODY_BYTES_MAX <= BODY_DECODED_BYTES_MAX);
const _: () = assert!(BODY_DECODED_BYTES_MAX <= LOG_RECORD_BYTES_MAX / 2);
const _: () = assert!(GROUP_COMMIT_MAX <= WRITE_QUEUE_MAX);
/// Deploys that are remembered.
pub const DEPLOYS_MAX: usize = 1000;
/// Episodes that are remembered, the newest.
pub const EPISODES_MAX: usize = 2000;
/// Groups that are told with an episode, the worst.
pub const EPISODE_GROUPS_MAX: usize = 5;
/// Samples of an evidence pack.
pub const EVIDENCE_SAMPLES_MAX: usize = 4000;
/// Samples of one selector that are held to find those of an evidence pack.
pub const EVIDENCE_READ_MAX: usize = 200_000;
/// Alerts that fired and are remembered, the newest.
pub const FIRED_ALERTS_MAX: usize = 5000;
/// Bytes of one text of a remembered alert: labels, summary, a note. Longer ones are cut.
pub const FIRED_TEXT_BYTES_MAX: usize = 1024;
/// Bytes of the record of alerts and episodes from which on it is written anew, with what is remembered alone.
pub const EPISODES_FILE_BYTES_MAX: usize = 8 << 20;
/// Bytes of recorded verdicts that are kept: those of some thousand changes.
pub const VERDICTS_BYTES_MAX: usize = 8 << 20;
/// Services, and reasons, that a recorded verdict holds: the worst.
pub const VERDICT_LIST_MAX: usize = 200;
/// Spans without samples that are known of an objective: with more, those of half of the time are joined in pairs.
pub const OBJECTIVE_MISSING_MAX: usize = 1024;
/// Services that coverage looks at, of those that stored series name.
pub const COVERAGE_SERVICES_MAX: usize = 1000;
/// Services whose verdict is a metric: the worst.
pub const METRICS_SERVICES_MAX: usize = 1000;
/// Objectives whose budget is a metric: those with the least left.
pub const METRICS_OBJECTIVES_MAX: usize = 1000;
/// Bytes of a deploy's service and version together.
pub const DEPLOY_BYTES_MAX: usize = 1024;
/// The longest window that a rule follows sample by sample; a longer one is queried at the
/// group's interval. Six hours at 15 s are 1440 samples, which a function works through in a few
/// microseconds at each new sample.
pub const RULE_WINDOW_MAX: Millis = Millis::hours(6);
/// Time that one explanation of a rule may take.
pub const WHY_TIMEOUT: Millis = Millis::seconds(10);
/// Evaluations of a rule that are kept to be looked at.
pub const RULE_EVALUATIONS_KEPT: usize = 20;
/// Different queries that the text of one label or annotation may ask. Each is answered while senders wait.
pub const TEMPLATE_QUERIES_MAX: usize = 16;
/// Of how many evaluations of followed rules one is compared with what a query answers, at most one a second.
pub const RULE_AUDIT_ONE_IN: u64 = 1000;
/// Results with more elements than this are not compared: they are copied while senders wait.
pub const RULE_AUDIT_ELEMENTS_MAX: usize = 10_000;
/// How late a deadline may be noticed and still be worked off at its own instant. Later than that
/// nobody was watching, and the rules go on at the present.
pub const RULE_LATE_MAX: Millis = Millis::minutes(1);
/// Blindness pages once it has lasted so long.
pub const BLIND_PAGES_AFTER: Millis = Millis::minutes(2);
/// What was never seen, and what can wait until somebody is there, is told of after so long.
pub const BLIND_TICKETS_AFTER: Millis = Millis::minutes(10);
/// And the end of blindness is told of when it has been over for so long.
pub const BLIND_ENDS_AFTER: Millis = Millis::minutes(1);
/// How often one word of a test's values may repeat: almost two years of minutes.
pub const SCRIPT_REPEATS_MAX: usize = 1_000_000;
/// Instants at which a test of rules evaluates them: almost two years of minutes.
pub const RULE_TEST_EVALUATIONS_MAX: i64 = 1_000_000;

//! Files that say what the program does.

use std::path::{Path, PathBuf};

use evenkeel::config::{self, Config, load_routing, parse_objectives, parse_rules};
use evenkeel::env::disk::MemoryDisk;

use super::files::put_file;
use super::targets::Target;
use super::texts::utf8;

const WORDS: &[&str] = &[
    ": ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "|\n",
    ">\n",
    "\"",
    "'",
    "#",
    "!!",
    "? ",
    "---\n",
    "expr: up == 0",
    "for: 5m",
    "${A}",
    "receiver: x",
];

pub(super) fn targets() -> Vec<Target> {
    let yaml = |name, seeds, run| Target::plain(name, seeds, run).with_words(WORDS);
    vec![
        yaml("config-shown", config_seeds, |b| parsed(b, |t| config::shown(t, None).map_err(|e| e.to_string()))),
        yaml("rules", rules_seeds, |b| parsed(b, |t| parse_rules("r.yml", t).map_err(|e| e.to_string()))),
        yaml("objectives", objectives_seeds, |b| {
            parsed(b, |t| parse_objectives("o.yml", t).map_err(|e| e.to_string()))
        }),
        yaml("alertmanager", routing_seeds, routing_file),
        yaml("config", config_seeds, config_file),
    ]
}

fn parsed<T>(bytes: &[u8], parse: impl Fn(&str) -> Result<T, String>) -> Result<bool, String> {
    match parse(&utf8(bytes)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_empty() => Err("an error without words".to_owned()),
        Err(_) => Ok(false),
    }
}

fn rules_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../src/config/host/rules.yml").to_vec()]
}

fn objectives_seeds() -> Vec<Vec<u8>> {
    let own = "adjustments: [{from: 2026-11-21 02:00, for: 2h, repeat: FREQ=MONTHLY;BYDAY=1SU, time_zone: Europe/Berlin}]\n\
               objectives:\n- {service: a, objective: 99, window: month, time_zone: Asia/Kathmandu, good: 'sum(rate(g[5m]))', \
               total: t, group_by: [route], slices: {width: 1m, target: 95}}\n- {service: b, objective: 99, composite: \
               [{objective: a/availability, weight: 2}], window: month, time_zone: Asia/Kathmandu}\n";
    let openslo = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec:\n  service: s\n  timeWindow: [{duration: 1M, \
                   calendar: {startTime: 2020-01-21 12:30:00, timeZone: America/New_York}}]\n  budgetingMethod: Timeslices\n  \
                   objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5}]\n  indicator: {spec: {ratioMetric: \
                   {counter: false, bad: {metricSource: {spec: {query: a}}}, total: {metricSource: {spec: {query: b}}}}}}\n";
    let host = include_bytes!("../../src/config/host/objectives.yml").to_vec();
    vec![host, own.as_bytes().to_vec(), openslo.as_bytes().to_vec()]
}

fn routing_seeds() -> Vec<Vec<u8>> {
    vec![
        b"global: {resolve_timeout: 5m}\nroute:\n  receiver: a\n  group_by: [job]\n  group_wait: 30s\n  routes:\n  - matchers: ['severity=~\"page|ticket\"', 'job != x']\n    continue: true\n    receiver: b\nreceivers:\n- name: a\n  webhook_configs: [{url: 'http://localhost:1/', send_resolved: true, max_alerts: 3}]\n- name: b\n"
            .to_vec(),
    ]
}

fn config_seeds() -> Vec<Vec<u8>> {
    vec![
        b"global: {scrape_interval: 15s, external_labels: {dc: a}}\nscrape_configs:\n- job_name: shop\n  metrics_path: /m\n  params: {a: [b]}\n  static_configs: [{targets: ['10.0.0.5:8080'], labels: {x: y}}]\n  relabel_configs:\n  - {source_labels: [__address__, a], regex: '(.*):.*', target_label: host, replacement: '$1', action: replace}\n  - {action: labeldrop, regex: x}\nalerting:\n  alertmanagers: [{scheme: http, static_configs: [{targets: ['10.0.0.9:9093']}]}]\nstorage: {retention: 30d, durability: synced}\n"
            .to_vec(),
    ]
}

fn on_disk(name: &str, bytes: &[u8]) -> Result<(MemoryDisk, PathBuf), String> {
    let (disk, path) = (MemoryDisk::new(), Path::new("/c").join(name));
    put_file(&disk, &path, bytes)?;
    Ok((disk, path))
}

fn routing_file(bytes: &[u8]) -> Result<bool, String> {
    let (disk, path) = on_disk("alertmanager.yml", bytes)?;
    Ok(load_routing(&disk, &path).is_ok())
}

fn config_file(bytes: &[u8]) -> Result<bool, String> {
    let (disk, path) = on_disk("prometheus.yml", bytes)?;
    match Config::load_with(&disk, &path, &|_| None) {
        Ok(config) => Ok(!config.summary().is_empty()),
        Err(_) => Ok(false),
    }
}

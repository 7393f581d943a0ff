//! A configuration as a listing for people: what will be done, defaults included, secrets not.

use std::fmt::Write;

use crate::confidence::AccuracyTargets;
use crate::notify::{Route, Routing};

use super::options::{Config, Durability, StartTimestamps};
use super::scrape::ScrapeJob;
use crate::rules::Rule;

impl Config {
    /// What the configuration means, one fact a line.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_summary(&mut out);
        out
    }

    fn write_summary(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "global")?;
        writeln!(out, "  scrape every {}, for at most {}", self.scrape_interval, self.scrape_timeout)?;
        writeln!(out, "  evaluate rules as samples arrive, others every {}", self.evaluation_interval)?;
        writeln!(out, "  external labels {}", self.external_labels)?;
        writeln!(out, "storage")?;
        writeln!(out, "  keep samples for {}", self.storage.retention)?;
        for rule in &self.storage.retention_rules {
            let matchers: Vec<String> = rule.matchers.iter().map(ToString::to_string).collect();
            writeln!(out, "  keep those of {{{}}} for {}", matchers.join(","), rule.keep)?;
        }
        for rule in &self.storage.downsample {
            let matchers: Vec<String> = rule.matchers.iter().map(ToString::to_string).collect();
            let which = if matchers.is_empty() { String::new() } else { format!(" of {{{}}}", matchers.join(",")) };
            writeln!(out, "  downsample those{which} after {} to {}", rule.after, rule.resolution)?;
        }
        if self.storage.retention_bytes > 0 {
            writeln!(out, "  keep at most {} bytes", self.storage.retention_bytes)?;
        }
        match self.storage.results_cache_bytes {
            0 => writeln!(out, "  keep no answers to range queries")?,
            bytes => writeln!(out, "  keep answers to range queries in up to {bytes} bytes of memory")?,
        }
        match self.storage.durability {
            Durability::Synced => writeln!(out, "  durability synced: on disk before they are acknowledged")?,
            Durability::Interval(span) => writeln!(out, "  durability {span}: on disk at most so long afterwards")?,
            Durability::Buffered => writeln!(out, "  durability buffered: on disk when the system writes them")?,
        }
        match self.storage.start_timestamps {
            StartTimestamps::Ignored => {}
            StartTimestamps::Stored => writeln!(out, "  keep when counting began; nothing looks at it")?,
            StartTimestamps::Used => writeln!(out, "  keep when counting began; queries and rules look at it")?,
        }
        writeln!(out, "  take samples up to {} older than the newest", self.storage.out_of_order)?;
        if !self.deploy_series.is_empty() {
            let matchers: Vec<String> = self.deploy_series.iter().map(ToString::to_string).collect();
            writeln!(out, "deploys: new versions that {{{}}} name, and what is marked", matchers.join(","))?;
        }
        if !self.critical.matchers.is_empty() {
            writeln!(out, "critical services: those of series with {}", self.critical.matchers_text())?;
        }
        for service in &self.critical.declared {
            let owner = service.owner.as_ref().map_or(String::new(), |owner| format!(", of {owner}"));
            writeln!(out, "critical service: {}{owner}", service.name)?;
        }
        let AccuracyTargets { precision, recall, early_warning } = self.accuracy;
        let [precision, recall, early] = [precision, recall, early_warning].map(percent);
        writeln!(out, "accuracy: precision {precision} %, recall {recall} %, early warning {early} %")?;
        writeln!(out, "scrape configs: {}", self.scrape.len())?;
        self.scrape.iter().try_for_each(|job| write_job(out, job))?;
        writeln!(out, "rule groups: {}", self.rule_groups.len())?;
        for group in &self.rule_groups {
            let alerts = group.rules.iter().filter(|rule| matches!(rule, Rule::Alerting(_))).count();
            let records = group.rules.len() - alerts;
            writeln!(out, "  {} in {}: {alerts} alerting, {records} recording", group.name, group.file)?;
        }
        writeln!(out, "objectives: {}", self.objectives.len())?;
        for o in &self.objectives {
            writeln!(out, "  {}/{}: {} % over {}", o.service, o.name, percent(o.objective), o.window)?;
        }
        if !self.severity.is_empty() {
            writeln!(out, "severity: the first row that a burn alert satisfies")?;
        }
        for (n, row) in self.severity.iter().enumerate() {
            writeln!(out, "  {}: {row} -> {}", n + 1, row.severity.as_str())?;
        }
        writeln!(out, "alertmanagers: {}", self.alertmanagers.len())?;
        for target in &self.alertmanagers {
            writeln!(out, "  {}/api/v2/alerts, for at most {}", target.url, target.timeout)?;
        }
        match &self.routing {
            Some(routing) => write_routing(out, routing)?,
            None => writeln!(out, "receivers: 0")?,
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }
}

/// A share in percent, with as many digits as a file has.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

fn write_job(out: &mut String, job: &ScrapeJob) -> std::fmt::Result {
    writeln!(out, "  {}: every {}, for at most {}", job.name, job.interval, job.timeout)?;
    for group in &job.targets {
        for address in &group.addresses {
            match job.relabel.len() {
                0 => writeln!(out, "    {}://{address}{} {}", job.scheme, job.metrics_path, group.labels)?,
                // What is asked is known only when the rules have run.
                rules => writeln!(out, "    {address} {}, then relabel_configs: {rules}", group.labels)?,
            }
        }
    }
    Ok(())
}

fn write_routing(out: &mut String, routing: &Routing) -> std::fmt::Result {
    writeln!(out, "receivers: {}", routing.receivers.len())?;
    for receiver in &routing.receivers {
        writeln!(out, "  {}: {} webhooks", receiver.name, receiver.webhooks.len())?;
    }
    writeln!(out, "routes")?;
    write_route(out, &routing.route, 1)
}

fn write_route(out: &mut String, route: &Route, depth: usize) -> std::fmt::Result {
    let matchers: Vec<String> = route.matchers.iter().map(ToString::to_string).collect();
    let (wait, interval, repeat) = (route.group_wait, route.group_interval, route.repeat_interval);
    writeln!(
        out,
        "{:indent$}{{{}}} -> {}: wait {wait}, changes every {interval}, repeats every {repeat}",
        "",
        matchers.join(","),
        route.receiver,
        indent = depth * 2,
    )?;
    route.routes.iter().try_for_each(|child| write_route(out, child, depth + 1))
}

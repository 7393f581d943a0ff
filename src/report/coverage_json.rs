//! Coverage and blind spots as JSON: what the API answers and the commands read.

use serde::{Deserialize, Serialize};

use crate::confidence::{BlindSpot, Coverage, CoverageScope, percent};

/// Coverage in its JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// The instant at which this was so.
    pub at: String,
    /// Which services must be covered: `all` that are known, or those that are `critical`.
    pub scope: String,
    /// How many these are.
    pub counted: usize,
    /// How many of these are covered.
    pub covered: usize,
    /// The share of these that are covered.
    pub share: f64,
    /// How many services have an objective with fresh input, a page with a route, and an owner.
    pub adopted: usize,
    /// The share of services that have.
    pub adoption: f64,
    /// The services, those with gaps first, critical ones before others.
    pub services: Vec<ServiceCoverageReport>,
}

/// What a service has and lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceCoverageReport {
    /// The service.
    pub service: String,
    /// Its objectives.
    pub objectives: usize,
    /// Those of them that have fresh input.
    pub measured: usize,
    /// The least of their shares of the last day that were measured.
    pub time_covered_day: Option<f64>,
    /// The least of their shares of their windows that were measured.
    pub time_covered_window: Option<f64>,
    /// What of it can page.
    pub pages: Vec<String>,
    /// Who would be told.
    pub receivers: Vec<String>,
    /// When one of them last took a message; `null` if never.
    pub proven: Option<String>,
    /// Whether it must be covered because it is critical.
    pub critical: bool,
    /// Whose it is.
    pub owners: Vec<String>,
    /// What is missing: `objective`, `input`, `page`, `route`, `proof`, `owner`. Without the last alone it is covered.
    pub gaps: Vec<String>,
}

/// A blind spot in its JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpotReport {
    /// What kind.
    pub code: String,
    /// The service that it concerns, unless it concerns everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What is not seen.
    pub text: String,
    /// What would help.
    pub remedy: String,
    /// How many errors of the last day nobody was told of, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl CoverageReport {
    /// The report of a coverage.
    pub fn new(coverage: &Coverage) -> CoverageReport {
        let services = coverage.services.iter().map(|service| ServiceCoverageReport {
            service: service.service.clone(),
            objectives: service.objectives,
            measured: service.measured,
            time_covered_day: service.time.map(|[day, _]| day),
            time_covered_window: service.time.map(|[_, window]| window),
            pages: service.pages.clone(),
            receivers: service.receivers.clone(),
            proven: service.proven.map(|at| at.to_string()),
            critical: service.critical,
            owners: service.owners.clone(),
            gaps: service.gaps(coverage.at).into_iter().map(str::to_owned).collect(),
        });
        CoverageReport {
            at: coverage.at.to_string(),
            scope: match coverage.scope {
                CoverageScope::Everything => "all".to_owned(),
                CoverageScope::Critical => "critical".to_owned(),
            },
            counted: coverage.counted().count(),
            covered: coverage.covered(),
            share: coverage.share(),
            adopted: coverage.adopted(),
            adoption: coverage.adoption(),
            services: services.collect(),
        }
    }
}

impl CoverageReport {
    /// Critical services that lack something.
    pub fn critical_with_gaps(&self) -> impl Iterator<Item = &ServiceCoverageReport> {
        self.services.iter().filter(|service| service.critical && !service.gaps.is_empty())
    }
}

impl BlindSpotReport {
    /// The report of a blind spot.
    pub fn new(spot: &BlindSpot) -> BlindSpotReport {
        BlindSpotReport {
            code: spot.code.clone(),
            service: spot.service.clone(),
            text: spot.text.clone(),
            remedy: spot.remedy.clone(),
            events: spot.events,
        }
    }
}

/// Coverage as a table: what each service has, and in words what it lacks.
pub fn coverage_text(report: &CoverageReport) -> String {
    let names = [
        "service",
        "objective",
        "input",
        "measured 1d",
        "measured window",
        "page",
        "route",
        "proof",
        "owner",
        "critical",
    ];
    let mut rows = vec![names.map(str::to_owned)];
    for service in &report.services {
        let cell =
            |name: &str, what: String| if service.gaps.iter().any(|gap| gap == name) { "-".to_owned() } else { what };
        rows.push([
            service.service.clone(),
            cell("objective", service.objectives.to_string()),
            cell("input", format!("{} of {}", service.measured, service.objectives)),
            measured_text(service.time_covered_day),
            measured_text(service.time_covered_window),
            cell("page", service.pages.len().to_string()),
            cell("route", service.receivers.join(",")),
            cell("proof", service.proven.clone().unwrap_or_else(|| "-".to_owned())),
            cell("owner", service.owners.join(",")),
            if service.critical { "yes" } else { "" }.to_owned(),
        ]);
    }
    let is_critical = report.scope == "critical";
    if !is_critical {
        rows.iter_mut().for_each(|row| row[names.len() - 1].clear());
    }
    let mut text = table(&rows);
    let of_them = if is_critical { "critical services" } else { "services" };
    text.push_str(&format!(
        "\n{} of {} {of_them} are covered ({:.0} %): somebody would be told of their failures\n\
         {} of {} services have adopted objectives ({:.0} %): one with input, a page with a route, and an owner\n",
        report.covered,
        report.counted,
        report.share * 100.0,
        report.adopted,
        report.services.len(),
        report.adoption * 100.0,
    ));
    for service in report.critical_with_gaps() {
        text.push_str(&format!("critical and not complete: {} lacks {}\n", service.service, service.gaps.join(", ")));
    }
    text
}

/// A share of time; of what was never measured there is none.
fn measured_text(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), percent)
}

/// Rows as lines whose columns stand below each other.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Blind spots as lines, each with what would help.
pub fn blind_spots_text(spots: &[BlindSpotReport]) -> String {
    let mut text = String::new();
    for spot in spots {
        let whose = spot.service.as_ref().map_or(String::new(), |service| format!("{service}: "));
        text.push_str(&format!("{}  {whose}{}\n    {}\n", spot.code, spot.text, spot.remedy));
    }
    let events: u64 = spots.iter().filter_map(|spot| spot.events).sum();
    let cost = match events {
        0 => String::new(),
        1 => ", and 1 error of the last day that nobody looks at".to_owned(),
        n => format!(", and {n} errors of the last day that nobody looks at"),
    };
    match spots.len() {
        0 => "no blind spots are known\n".to_owned(),
        1 => format!("{text}\n1 blind spot{cost}\n"),
        n => format!("{text}\n{n} blind spots{cost}\n"),
    }
}

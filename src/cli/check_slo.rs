//! `evenkeel check slo`: what a file of objectives promises, and whether there is enough traffic for it.

use std::path::Path;

use anyhow::Context;

use crate::config;
use crate::env::disk::RealDisk;
use crate::report::{objective_text, traffic_text};
use crate::slo::Objective;

/// What a file says, and with a server's address whether its traffic is enough.
pub(super) fn text(path: &Path, url: Option<&str>) -> anyhow::Result<String> {
    let (objectives, notes) = config::load_objectives(&RealDisk, path)?;
    let mut text = format!("{} objectives\n", objectives.len());
    for objective in &objectives {
        text.push_str(&objective_text(objective));
        if let Some(url) = url
            && objective.indicator.parts().is_empty()
        {
            text.push_str(&traffic_text(objective, events(objective, url)?));
        }
    }
    for note in notes {
        text.push_str(&format!("{note}\n"));
    }
    Ok(text)
}

/// How many events a running server has seen within the objective's window.
fn events(objective: &Objective, url: &str) -> anyhow::Result<f64> {
    let query = objective.indicator.total_query(objective.window);
    let form = [("query", query.as_str())];
    let data = super::runtime()?.block_on(super::ask::post(url, "/api/v1/query", &form))?;
    let Some(value) = data["result"][0]["value"][1].as_str() else { return Ok(0.0) };
    value.parse().with_context(|| format!("{url} answered {value:?} to {query}"))
}

//! What a budget is made of and when it begins anew: calendars, slices of time, adjustments.

use crate::model::Millis;
use crate::slo::{Adjustment, Calendar, CalendarUnit, Method, Objective, Schedule};

use super::{Scale, share};
use crate::config::error::ConfigError;
use crate::config::section::{Field, Section};

/// The window of an objective that names none.
const WINDOW: Millis = Millis::days(30);

/// The units of calendars by their names.
const UNITS: [(&str, CalendarUnit); 5] = [
    ("day", CalendarUnit::Day),
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
    ("quarter", CalendarUnit::Quarter),
    ("year", CalendarUnit::Year),
];

/// A window: how long, and by which calendar.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) length: Millis,
    pub(super) calendar: Option<Calendar>,
}

impl Window {
    pub(super) fn rolling(length: Millis) -> Window {
        Window { length, calendar: None }
    }

    pub(super) fn of_calendar(calendar: Calendar) -> Window {
        Window { length: calendar.length(), calendar: Some(calendar) }
    }
}

/// The keys `window`, `time_zone` and `window_start` of our own form.
pub(super) fn window(section: &mut Section<'_>) -> Result<Window, ConfigError> {
    let (zone, start) = (section.get("time_zone"), section.get("window_start"));
    let field = section.get("window");
    let word = field.as_ref().map(Field::word).transpose()?.unwrap_or_default();
    let Some((unit, field)) = UNITS.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit).zip(field.as_ref())
    else {
        if let Some(only) = zone.or(start) {
            let message = format!("\"{}\" is for windows of the calendar; write window: month", only.key);
            return Err(only.source.error(only.key_place, message));
        }
        return Ok(Window::rolling(field.map_or(Ok(WINDOW), |field| field.positive_duration())?));
    };
    let name = zone.as_ref().map(Field::word).transpose()?.unwrap_or_else(|| "UTC".to_owned());
    let begin = start.as_ref().map(Field::word).transpose()?;
    let calendar = Calendar::new(unit, 1, &name, begin.as_deref());
    let calendar =
        calendar.map_err(|error| start.as_ref().or(zone.as_ref()).unwrap_or(field).error(error.to_string()))?;
    Ok(Window::of_calendar(calendar))
}

/// The key `slices` of our own form: `{width: 1m, target: 95}`, or without a target.
pub(super) fn method(section: &mut Section<'_>) -> Result<Method, ConfigError> {
    let Some(field) = section.get("slices") else { return Ok(Method::Occurrences) };
    let what = "\"slices\"";
    let mut slices = field.section(what)?;
    let width = slices.need("width", what)?.positive_duration()?;
    let target = slices.get("target").map(|target| whole_or_share(&target)).transpose()?;
    slices.finish(what)?;
    Ok(match target {
        Some(target) => Method::Timeslices { width, target },
        None => Method::RatioTimeslices { width },
    })
}

/// A share that may be all: a slice may have to be good without any exception.
pub(super) fn whole_or_share(field: &Field<'_>) -> Result<f64, ConfigError> {
    match field.word()?.as_str() {
        "1" | "1.0" | "100" | "100%" => Ok(1.0),
        _ => share(field, Scale::Either),
    }
}

/// An adjustment, and for which objectives it is.
#[derive(Debug, Clone)]
pub(in crate::config) struct ScopedAdjustment {
    adjustment: Adjustment,
    services: Vec<String>,
    /// Service and name with a slash between them.
    objectives: Vec<String>,
}

impl ScopedAdjustment {
    pub(super) fn new(adjustment: Adjustment, services: Vec<String>, objectives: Vec<String>) -> ScopedAdjustment {
        ScopedAdjustment { adjustment, services, objectives }
    }

    fn is_for(&self, objective: &Objective) -> bool {
        let all = self.services.is_empty() && self.objectives.is_empty();
        let path = format!("{}/{}", objective.service, objective.name);
        all || self.services.contains(&objective.service) || self.objectives.contains(&path)
    }
}

/// Gives each objective the adjustments that are for it.
pub(in crate::config) fn adjust(objectives: &mut [Objective], adjustments: &[ScopedAdjustment]) {
    // What a composite counts, its parts count.
    for objective in objectives.iter_mut().filter(|objective| objective.indicator.parts().is_empty()) {
        let own = adjustments.iter().filter(|scoped| scoped.is_for(objective)).map(|scoped| scoped.adjustment.clone());
        let own: Vec<Adjustment> = own.collect();
        objective.adjustments.extend(own);
    }
}

/// The key `adjustments` at the top of a file of our own form.
pub(super) fn scoped(field: &Field<'_>) -> Result<Vec<ScopedAdjustment>, ConfigError> {
    let read = |item: Field<'_>| {
        let mut section = item.section("an adjustment")?;
        let words =
            |field: Option<Field<'_>>| field.map(|field| field.words()).transpose().map(Option::unwrap_or_default);
        let services = words(section.get("services"))?;
        let objectives = words(section.get("objectives"))?;
        Ok(ScopedAdjustment::new(adjustment(section, &item)?, services, objectives))
    };
    field.list()?.into_iter().map(read).collect()
}

/// The key `adjustments` of an objective.
pub(super) fn adjustments(section: &mut Section<'_>) -> Result<Vec<Adjustment>, ConfigError> {
    let Some(field) = section.get("adjustments") else { return Ok(Vec::new()) };
    field.list()?.into_iter().map(|item| adjustment(item.section("an adjustment")?, &item)).collect()
}

fn adjustment(mut section: Section<'_>, item: &Field<'_>) -> Result<Adjustment, ConfigError> {
    let what = "an adjustment";
    let name = section.get("name").map(|f| f.word()).transpose()?.unwrap_or_else(|| "adjustment".to_owned());
    let start = section.need("from", what)?.word()?;
    let length = section.need("for", what)?.positive_duration()?;
    let zone = section.get("time_zone").map(|f| f.word()).transpose()?.unwrap_or_else(|| "UTC".to_owned());
    let rule = section.get("repeat").map(|f| f.word()).transpose()?;
    section.finish(what)?;
    let schedule =
        Schedule::new(&start, length, &zone, rule.as_deref()).map_err(|error| item.error(error.to_string()))?;
    Ok(Adjustment { name, schedule })
}

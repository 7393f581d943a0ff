//! `what-if`: how an objective would stand with another target, window or method.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::model::Millis;
use crate::report::WhatIfReport;
use crate::slo::{Calendar, CalendarUnit, Change, Method, WhatIfError};

use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Both answers.
#[derive(Serialize)]
struct Answer {
    /// With what is defined.
    as_is: WhatIfReport,
    /// With the change.
    what_if: WhatIfReport,
}

/// `GET /api/v1/objectives/what-if?service=…&name=…&objective=99.5&window=7d`
pub(super) async fn what_if(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let (service, name) = (text(&params, "service")?.to_owned(), text(&params, "name")?.to_owned());
    let change = change(&params)?;
    let [as_is, what_if] = state.ask(move |db| db.what_if(&service, &name, &change)).await?.map_err(refused)?;
    Ok(success(Answer { as_is: WhatIfReport::new(&as_is), what_if: WhatIfReport::new(&what_if) }))
}

fn refused(error: WhatIfError) -> ApiError {
    let kind = match error {
        WhatIfError::Unknown(_) => ErrorType::NotFound,
        WhatIfError::History(_) => ErrorType::Execution,
        WhatIfError::Objective(_) => ErrorType::BadData,
    };
    ApiError::new(kind, error.to_string())
}

fn text<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, ApiError> {
    params.get(name).filter(|text| !text.is_empty()).ok_or_else(|| ApiError::parameter(name, "it is missing; name one"))
}

fn change(params: &Params) -> Result<Change, ApiError> {
    let mut change = Change { objective: share(params, "objective")?, ..Change::default() };
    let unit = |word: &str| {
        let units =
            [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Quarter, CalendarUnit::Year];
        units.into_iter().find(|unit| unit.as_str() == word)
    };
    if let Some(window) = params.get("window") {
        match unit(window) {
            Some(unit) => {
                let zone = params.get("time_zone").unwrap_or("UTC");
                let calendar = Calendar::new(unit, 1, zone, None);
                change.calendar = Some(calendar.map_err(|error| ApiError::parameter("time_zone", error))?);
            }
            None => change.window = Some(span(window, "window")?),
        }
    }
    change.method = match params.get("slices") {
        None => None,
        Some("none") => Some(Method::Occurrences),
        Some(width) => {
            let width = span(width, "slices")?;
            Some(match share(params, "slice_target")? {
                Some(target) => Method::Timeslices { width, target },
                None => Method::RatioTimeslices { width },
            })
        }
    };
    Ok(change)
}

fn span(text: &str, name: &str) -> Result<Millis, ApiError> {
    Millis::parse(text).map_err(|error| ApiError::parameter(name, error))
}

/// A share, or a percentage above 1.
fn share(params: &Params, name: &'static str) -> Result<Option<f64>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let number: Option<f64> = text.trim_end_matches('%').trim().parse().ok();
    let share = number.map(|n| if n > 1.0 || text.ends_with('%') { (n / 100.0 * 1e12).round() / 1e12 } else { n });
    let fail = || ApiError::parameter(name, "write a percentage like 99.5, or a share like 0.995");
    share.filter(|share| *share > 0.0 && *share <= 1.0).map(Some).ok_or_else(fail)
}

//! `deploys`: marks of what changed when.

use axum::extract::{Request, State};
use axum::response::Response;

use crate::db::Deploy;
use crate::report::DeployReport;

use super::write::append_error;
use crate::server::envelope::{ApiError, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Bytes of a service's or version's name.
const NAME_BYTES_MAX: usize = 256;

/// `GET /api/v1/deploys`
pub(super) async fn list(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let marks = state.ask(|db| db.deploys()).await?;
    Ok(success(marks.iter().map(DeployReport::new).collect::<Vec<_>>()))
}

/// `POST /api/v1/deploys` with `service` and `version`, as a form or in the URL.
pub(super) async fn mark(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let text = |name: &str| {
        let value = params.get(name).ok_or_else(|| ApiError::parameter(name, "it is missing"))?;
        if value.len() > NAME_BYTES_MAX {
            return Err(ApiError::parameter(name, format!("it is longer than {NAME_BYTES_MAX} bytes")));
        }
        Ok(value.to_owned())
    };
    let (service, version) = (text("service")?, text("version")?);
    let db = state.db()?.clone();
    let marked = state.bridge().write(move || {
        let at = db.mark_deploy(&service, &version)?.at;
        Ok(Deploy { at, service, version })
    });
    let mark = marked.await?.map_err(|error| append_error(&error))?;
    Ok(success(DeployReport::new(&mark)))
}

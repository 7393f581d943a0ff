//! The section `coverage`: which services must be covered.
//!
//! ```yaml
//! coverage:
//!   critical: tier="critical"                 # matchers of series' labels: the services of these
//!   services:                                 # by name, whether a series names them yet or not
//!     - checkout
//!     - {name: search, owner: find}
//! ```

use crate::confidence::{CriticalServices, DeclaredService};
use crate::model::limits;

use super::error::ConfigError;
use super::loader::Loader;
use super::matchers;
use super::section::Field;
use super::yaml::Value;

/// Reads the section.
pub(super) fn read(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<CriticalServices, ConfigError> {
    let mut section = field.section("coverage")?;
    let mut critical = CriticalServices::default();
    if let Some(field) = section.get("critical") {
        critical.matchers = matchers::parse(&field.text()?).map_err(|message| field.error(message))?;
        if critical.matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(field.error(
                "series without these labels satisfy it too, so that every service would be critical; ask for a value, like \
                 tier=\"critical\"",
            ));
        }
    }
    if let Some(field) = section.get("services") {
        let items = field.list()?;
        let most = limits::COVERAGE_SERVICES_MAX;
        if items.len() > most {
            return Err(field.error(format!("{} services; at most {most} can be named", items.len())));
        }
        for item in items {
            let service = declared(&item, loader)?;
            if critical.declared.iter().any(|other| other.name == service.name) {
                return Err(item.error(format!("the service \"{}\" stands twice; remove one", service.name)));
            }
            critical.declared.push(service);
        }
    }
    loader.notes.extend(section.finish("coverage")?);
    Ok(critical)
}

/// A name, or `{name: NAME, owner: OWNER}`.
fn declared(item: &Field<'_>, loader: &mut Loader<'_>) -> Result<DeclaredService, ConfigError> {
    if !matches!(item.node.value, Value::Map(_)) {
        return Ok(DeclaredService { name: item.word()?, owner: None });
    }
    let what = "an entry of services";
    let mut section = item.section(what)?;
    let name = section.need("name", what)?.word()?;
    let owner = section.get("owner").map(|field| field.word()).transpose()?;
    loader.notes.extend(section.finish(what)?);
    Ok(DeclaredService { name, owner })
}

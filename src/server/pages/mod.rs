//! The web pages: view structs in, markup out.
//!
//! Invariants:
//! - A page is whole without JavaScript; the script only renews what the server rendered.
//! - No style or script stands in a page, so the content-security policy can forbid both.
//! - A state is a word and a shape; colour only repeats it.

mod coverage;
mod figures;
#[cfg(test)]
mod gallery;
mod layout;
mod lists;
mod overview;
mod query;
mod reports;
mod rules;
mod service;
mod shapes;
pub(super) mod view;
mod words;

pub(super) use coverage::coverage;
pub(super) use layout::encode;
pub(super) use lists::{alerts, message, targets};
pub(super) use overview::overview;
pub(super) use query::query;
pub(super) use reports::reports;
pub(super) use rules::{alert, rule, rules};
pub(super) use service::service;
pub(super) use words::{ago, burn, bytes, number, percent, rough, stamp};

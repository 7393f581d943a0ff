//! The manifest: which files make up the store, replaced in one step; and the attachments of the
//! last checkpoint.

mod file;
mod format;

pub(super) use file::{Files, Loaded};
pub(super) use file::{attachments_of, manifest_of};
pub(super) use format::{Attachments, BlockName, Manifest, SeriesFileName};

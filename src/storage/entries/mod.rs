//! What the log holds beside samples: exemplars, metadata, deletes, starts; and what a checkpoint keeps of them.

mod format;

pub(super) use format::{
    Tombstone, deletion_from_bytes, deletion_to_bytes, exemplars_from_bytes, exemplars_to_bytes, metadata_from_bytes,
    metadata_to_bytes, starts_from_bytes, starts_to_bytes, tombstones_from_bytes, tombstones_to_bytes,
};
